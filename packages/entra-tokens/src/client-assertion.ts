import { constants, createHash, randomUUID, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { ClientCertificate } from "./client-certificate.ts";
import { CertificateError } from "./client-certificate.ts";

/** Entra documents ten minutes as the longest that it recommends. */
const LIFE_SECONDS = 600;
/** For a clock that is ahead of Entra's. */
const BACKDATED_SECONDS = 60;

export interface AssertionOptions {
  readonly clientId: string;
  /** The token endpoint. */
  readonly audience: string;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  /**
   * `RS256` with a SHA-1 thumbprint is what ADAL sent and AD FS understands; without it RSA keys sign with `PS256`, as
   * Entra recommends.
   */
  readonly legacy?: boolean;
}

/**
 * A JWT that proves that the application has the key of its certificate. The chain goes along (`x5c`), so that an
 * application that trusts a subject name and issuer recognises a renewed certificate.
 *
 * https://learn.microsoft.com/entra/identity-platform/certificate-credentials
 */
export function clientAssertion(certificate: ClientCertificate, options: AssertionOptions): string {
  const { clientId, audience, nowMs, legacy = false } = options;
  const { key, chain } = certificate;
  const now = Math.floor(nowMs / 1000);
  const algorithm = algorithmOf(key, legacy);
  const thumbprint = createHash(legacy ? "sha1" : "sha256")
    .update(chain[0].raw)
    .digest("base64url");
  const header = {
    alg: algorithm.name,
    typ: "JWT",
    [legacy ? "x5t" : "x5t#S256"]: thumbprint,
    x5c: chain.map(({ raw }) => raw.toString("base64")),
  };
  const claims = {
    aud: audience,
    iss: clientId,
    sub: clientId,
    jti: randomUUID(),
    iat: now,
    nbf: now - BACKDATED_SECONDS,
    exp: now - BACKDATED_SECONDS + LIFE_SECONDS,
  };
  const text = `${encoded(header)}.${encoded(claims)}`;
  const signature = sign(algorithm.digest, Buffer.from(text), { key, ...algorithm.parameters });
  return `${text}.${signature.toString("base64url")}`;
}

interface Algorithm {
  readonly name: string;
  readonly digest: string;
  readonly parameters: object;
}

const CURVES: Readonly<Record<string, Algorithm>> = {
  prime256v1: { name: "ES256", digest: "sha256", parameters: { dsaEncoding: "ieee-p1363" } },
  secp384r1: { name: "ES384", digest: "sha384", parameters: { dsaEncoding: "ieee-p1363" } },
  secp521r1: { name: "ES512", digest: "sha512", parameters: { dsaEncoding: "ieee-p1363" } },
};

function algorithmOf(key: KeyObject, legacy: boolean): Algorithm {
  if (key.asymmetricKeyType === "ec") {
    const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
    const algorithm = CURVES[curve];
    if (algorithm === undefined)
      throw new CertificateError(`its key is on the curve ${curve}; use P-256, P-384 or P-521`);
    return algorithm;
  }
  if (legacy) return { name: "RS256", digest: "sha256", parameters: {} };
  const parameters = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return { name: "PS256", digest: "sha256", parameters };
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
