import type { SigningKey } from "../entra/signing-key.ts";
import { stringOf, textOf } from "../json.ts";
import type { ArmError, Caller } from "./errors.ts";
import { authenticationMissing, expiredToken, invalidToken, wrongAudience } from "./errors.ts";

/** Resources whose tokens ARM takes, as in the message about a wrong one. */
const AUDIENCES = [
  "https://management.core.windows.net/",
  "https://management.core.windows.net",
  "https://management.azure.com/",
  "https://management.azure.com",
  "https://management.usgovcloudapi.net/",
  "https://management.usgovcloudapi.net",
  "https://management.core.usgovcloudapi.net/",
  "https://management.chinacloudapi.cn/",
  "https://management.chinacloudapi.cn",
  "https://management.core.chinacloudapi.cn/",
  "https://management.microsoftazure.de/",
];

export interface AuthenticatedCaller extends Caller {
  readonly tenantId: string;
}

/** Who sent an `Authorization` header, by a token that the emulator's Entra or IMDS issued. `host` is the address ARM was asked at. */
export async function authenticate(
  { header, host }: { readonly header: string | undefined; readonly host: string },
  key: SigningKey,
  now: number,
): Promise<AuthenticatedCaller | { readonly error: ArmError }> {
  if (header === undefined) return { error: authenticationMissing() };
  const [, token] = /^bearer +(\S+)$/i.exec(header) ?? [];
  const claims = token === undefined ? undefined : await key.verify(token);
  const objectId = stringOf(claims?.["oid"]);
  const clientId = stringOf(claims?.["appid"]);
  const tenantId = stringOf(claims?.["tid"]);
  const expiry = claims?.["exp"];
  if (objectId === undefined || clientId === undefined || tenantId === undefined || typeof expiry !== "number")
    return { error: invalidToken() };
  if (expiry * 1000 <= now) return { error: expiredToken(americanTime(expiry * 1000), americanTime(now)) };
  const audience = textOf(claims?.["aud"]);
  if (![...AUDIENCES, `https://${host}`, `https://${host}/`].includes(audience))
    return { error: wrongAudience(audience, AUDIENCES.slice(0, 4)) };
  return { objectId, clientId, tenantId };
}

/** `1/22/2026 5:05:59 PM` */
function americanTime(epochMs: number): string {
  return new Date(epochMs).toLocaleString("en-US", { timeZone: "UTC" }).replace(",", "").replaceAll("\u202f", " ");
}
