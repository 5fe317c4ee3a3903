import { constants, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { JsonObject } from "../json.ts";
import { isJsonObject } from "../json.ts";

/** A JWT taken apart, nothing checked yet. */
export interface DecodedJwt {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

export function decodeJwt(token: string): DecodedJwt | undefined {
  const [header, payload, signature, ...rest] = token.split(".");
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined;
  const decoded = { header: parse(header), claims: parse(payload) };
  if (decoded.header === undefined || decoded.claims === undefined) return undefined;
  return {
    header: decoded.header,
    claims: decoded.claims,
    signed: Buffer.from(`${header}.${payload}`),
    signature: Buffer.from(signature, "base64url"),
  };
}

/** RS256 and PS256, the two algorithms of client assertions; anything else is not valid. */
export function verifySignature(jwt: DecodedJwt, key: KeyObject, algorithms: readonly ("RS256" | "PS256")[]): boolean {
  const { alg } = jwt.header;
  if (key.asymmetricKeyType !== "rsa" || !algorithms.some((allowed) => allowed === alg)) return false;
  const padding =
    alg === "PS256"
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : { padding: constants.RSA_PKCS1_PADDING };
  return verify("sha256", jwt.signed, { key, ...padding }, jwt.signature);
}

/** A NumericDate claim in epoch milliseconds. */
export function timeClaim(claims: JsonObject, name: string): number | undefined {
  const value = claims[name];
  return typeof value === "number" ? value * 1000 : undefined;
}

/** `aud` may be a text or a list. */
export function audiences(claims: JsonObject): readonly string[] {
  const { aud } = claims;
  if (typeof aud === "string") return [aud];
  return Array.isArray(aud) ? aud.filter((value) => typeof value === "string") : [];
}

function parse(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
