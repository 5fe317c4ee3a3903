import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";

/** A certificate that an application signs in with. */
export interface ClientCertificate {
  /** RSA or EC. */
  readonly key: KeyObject;
  /** The certificate of the key, then its issuers as far as they are known. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]];
}

/** Why a certificate cannot be used; the message says what to do and holds nothing of the key. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** Keys that are encrypted in the old way have headers, with dashes in them. */
const PEM_KEY = /-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----[^]+?-----END \1-----/;

/**
 * Reads a certificate with its key: PEM (in any order, key encrypted or not) or PFX (PKCS#12), as it is or in base64,
 * which is how Key Vault hands it out.
 *
 * @throws CertificateError
 */
export async function readClientCertificate(data: Uint8Array, password = ""): Promise<ClientCertificate> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const text = bytes.toString("latin1");
  if (text.includes("-----BEGIN ")) return fromPem(text, password);
  const der = bytes[0] === DER_SEQUENCE ? bytes : Buffer.from(text, "base64");
  if (der[0] !== DER_SEQUENCE) throw new CertificateError("it is neither PEM nor PFX");
  // PKCS#12 needs a library of some size, which most nodes never need.
  const { readPfx } = await import("./pfx.ts");
  const { keyDer, certificates } = readPfx(der, password);
  const key = createPrivateKey({ key: keyDer, format: "der", type: "pkcs8" });
  return withChain(key, certificates.map(certificateOf));
}

const DER_SEQUENCE = 0x30;

function fromPem(text: string, password: string): ClientCertificate {
  const [keyPem] = PEM_KEY.exec(text) ?? [];
  if (keyPem === undefined) throw new CertificateError("it has no private key; add it as PEM (BEGIN PRIVATE KEY)");
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: keyPem, passphrase: password });
  } catch {
    // OpenSSL's words help nobody, and the cause could hold the passphrase.
    throw new CertificateError("its private key cannot be read; check the password");
  }
  return withChain(key, (text.match(PEM_CERTIFICATE) ?? []).map(certificateOf));
}

function certificateOf(pemOrDer: string | Uint8Array): X509Certificate {
  try {
    return new X509Certificate(pemOrDer);
  } catch {
    throw new CertificateError("one of its certificates cannot be read");
  }
}

function withChain(key: KeyObject, certificates: readonly X509Certificate[]): ClientCertificate {
  const type = key.asymmetricKeyType;
  if (type !== "rsa" && type !== "ec")
    throw new CertificateError(`its key is of the kind ${String(type)}; Entra takes RSA, and EC where it is allowed`);
  const leaf = certificates.find((certificate) => certificate.checkPrivateKey(key));
  if (leaf === undefined) throw new CertificateError("none of its certificates is of its private key");
  const chain: [X509Certificate, ...X509Certificate[]] = [leaf];
  for (;;) {
    const last = chain.at(-1) ?? leaf;
    const issuer = certificates.find((other) => !chain.includes(other) && last.checkIssued(other));
    if (issuer === undefined) return { key, chain };
    chain.push(issuer);
  }
}
