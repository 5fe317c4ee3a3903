import { generateKeyPairSync } from "node:crypto";
import { certificatePem, issueCertificate, validity } from "./certificate.ts";

/** PEM texts for one TLS listener; `caPem` is what clients must trust. */
export interface ServerCredentials {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

const AUTHORITY_NAME = "azure-emulator throw-away CA";

/**
 * A new certificate authority and one server certificate for `hosts`.
 * EC keys, because an RSA key would double the start-up time. The authority's private key is forgotten on return.
 */
export function createServerCredentials(hosts: readonly string[], now: number): ServerCredentials {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const shared = {
    issuer: AUTHORITY_NAME,
    signer: authority.privateKey,
    signerPublicKey: authority.publicKey,
    ...validity(now, 365),
  };
  const ca = issueCertificate({
    ...shared,
    subject: AUTHORITY_NAME,
    publicKey: authority.publicKey,
    use: { kind: "authority" },
  });
  const leaf = issueCertificate({
    ...shared,
    subject: "azure-emulator",
    publicKey: server.publicKey,
    use: { kind: "server", hosts },
  });
  return {
    caPem: certificatePem(ca),
    certificatePem: certificatePem(leaf),
    keyPem: server.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
