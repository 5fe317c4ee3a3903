import { createHash, randomBytes } from "node:crypto";
import type { JsonObject } from "../json.ts";
import type { Principal } from "../state/directory.ts";
import type { SigningKey } from "./signing-key.ts";

/** How the client proved who it is: `appidacr`. */
export type ClientProof = "secret" | "assertion";

export interface AccessToken {
  readonly text: string;
  /** Seconds since 1970. */
  readonly notBefore: number;
  readonly expiresOn: number;
}

/** Entra dates a token back by this, against clocks that are behind. */
const BACKDATED_S = 300;

/** Issues the access token that Entra would give `principal` for `resource`; version 1.0, as all of Azure's own services want. */
export async function issueAccessToken(o: {
  key: SigningKey;
  principal: Principal;
  resource: string;
  proof: ClientProof;
  lifetimeS: number;
  now: number;
  /** ARM id of the machine that a managed identity's token is for. */
  host?: string | undefined;
}): Promise<AccessToken> {
  const { principal } = o;
  const nowS = Math.floor(o.now / 1000);
  const notBefore = nowS - BACKDATED_S;
  const expiresOn = nowS + o.lifetimeS;
  const issuer = `https://sts.windows.net/${principal.tenantId}/`;
  const claims: JsonObject = {
    aud: o.resource,
    iss: issuer,
    iat: notBefore,
    nbf: notBefore,
    exp: expiresOn,
    aio: randomBytes(24).toString("base64"),
    appid: principal.clientId,
    appidacr: o.proof === "secret" ? "1" : "2",
    idp: issuer,
    idtyp: "app",
    oid: principal.objectId,
    rh: `1.${createHash("sha256").update(`${principal.tenantId}${o.resource}`).digest("base64url")}.`,
    sub: principal.objectId,
    tid: principal.tenantId,
    uti: randomBytes(16).toString("base64url"),
    ver: "1.0",
    ...(o.host === undefined ? {} : { xms_az_rid: o.host }),
    ...(principal.resourceId === undefined ? {} : { xms_mirid: lowerGroups(principal.resourceId) }),
  };
  return { text: await o.key.sign(claims), notBefore, expiresOn };
}

function lowerGroups(id: string): string {
  return id.replace(/\/resourceGroups\//i, "/resourcegroups/");
}
