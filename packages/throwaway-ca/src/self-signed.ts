import type { KeyObject } from "node:crypto";
import { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "./x509.ts";

const DAY_MS = 86_400_000;
const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;

/**
 * A certificate for an RSA key that vouches for itself, PEM: what signs documents and client assertions.
 * @param o.privateKey the public half is taken from it
 * @param o.now epoch milliseconds; valid from a day before until `days` (default 365) after
 */
export async function createSelfSigned(o: {
  readonly commonName: string;
  readonly privateKey: KeyObject;
  readonly now: number;
  readonly days?: number;
}): Promise<string> {
  const { subtle } = webcrypto;
  const privateKey = await subtle.importKey("pkcs8", o.privateKey.export({ type: "pkcs8", format: "der" }), RSA, true, [
    "sign",
  ]);
  const { kty, n, e } = await subtle.exportKey("jwk", privateKey);
  const publicKey = await subtle.importKey("jwk", { kty, n, e } as webcrypto.JsonWebKey, RSA, true, ["verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [o.commonName] }],
    keys: { privateKey, publicKey },
    signingAlgorithm: RSA,
    notBefore: new Date(o.now - DAY_MS),
    notAfter: new Date(o.now + (o.days ?? 365) * DAY_MS),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      await SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}
