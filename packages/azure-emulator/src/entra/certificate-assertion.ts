import { createHash, X509Certificate } from "node:crypto";
import { stringOf } from "../json.ts";
import type { App } from "../state/directory.ts";
import type { EntraError } from "./errors.ts";
import {
  assertionAudienceMismatch,
  assertionClientMismatch,
  assertionOutOfTime,
  certificateNotRegistered,
  invalidSignature,
} from "./errors.ts";
import type { DecodedJwt } from "./jwt.ts";
import { audiences, isSignedBy, timeClaim } from "./jwt.ts";

const SKEW_MS = 300_000;

/**
 * Checks an assertion that the client signed with its own certificate. The certificate is found by `x5t#S256` or `x5t`
 * (padded or not), or taken from `x5c` when the app trusts its subject.
 */
export async function checkCertificateAssertion(o: {
  jwt: DecodedJwt;
  app: App;
  clientId: string;
  /** Accepted values of `aud`: the token endpoints of the tenant. */
  isAudience: (audience: string) => boolean;
  now: number;
}): Promise<EntraError | undefined> {
  const { jwt, app } = o;
  const { claims } = jwt;
  if (!same(claims["iss"], o.clientId) || !same(claims["sub"], o.clientId)) return assertionClientMismatch();
  const certificate = registered(app, jwt) ?? trustedByName(app, jwt);
  if (certificate === undefined) return certificateNotRegistered();
  if (!(await isSignedBy(jwt, certificate.publicKey, ["PS256", "RS256", "ES256", "ES384", "ES512"])))
    return invalidSignature(thumbprint(certificate, "sha1").toString("hex").toUpperCase());
  const until = timeClaim(claims, "exp");
  const from = timeClaim(claims, "nbf") ?? timeClaim(claims, "iat") ?? 0;
  if (until === undefined || until + SKEW_MS < o.now || from - SKEW_MS > o.now)
    return assertionOutOfTime({ now: o.now, from, until: until ?? 0 });
  return audiences(claims).some(o.isAudience) ? undefined : assertionAudienceMismatch();
}

function registered(app: App, jwt: DecodedJwt): X509Certificate | undefined {
  const sha256 = unpadded(jwt.header["x5t#S256"]);
  const sha1 = unpadded(jwt.header["x5t"]);
  return app.certificates.find(
    (certificate) =>
      (sha256 !== undefined && thumbprint(certificate, "sha256").toString("base64url") === sha256) ||
      (sha1 !== undefined && thumbprint(certificate, "sha1").toString("base64url") === sha1),
  );
}

/** Subject name / issuer authentication, without a check of the issuer: the emulator has no list of public authorities. */
function trustedByName(app: App, jwt: DecodedJwt): X509Certificate | undefined {
  const chain = jwt.header["x5c"];
  const leaf = Array.isArray(chain) ? stringOf(chain[0]) : stringOf(chain);
  if (leaf === undefined || app.trustedSubjects.length === 0) return undefined;
  try {
    const certificate = new X509Certificate(Buffer.from(leaf, "base64"));
    return app.trustedSubjects.includes(certificate.subject.replaceAll("\n", ", ")) ? certificate : undefined;
  } catch {
    return undefined;
  }
}

function thumbprint(certificate: X509Certificate, algorithm: "sha1" | "sha256"): Buffer {
  return createHash(algorithm).update(certificate.raw).digest();
}

/** Both alphabets of base64 occur, with and without padding. */
function unpadded(value: unknown): string | undefined {
  return stringOf(value)?.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function same(claim: unknown, clientId: string): boolean {
  return stringOf(claim)?.toLowerCase() === clientId.toLowerCase();
}
