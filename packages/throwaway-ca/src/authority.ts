import { X509CertificateGenerator } from "./x509.ts";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
} from "./x509.ts";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";

const DAY_MS = 86_400_000;
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A certificate and its private key (PKCS #8), both PEM. */
export interface KeyPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** What a certificate is for; at least one of `hosts` and `client`. */
export interface CertificateRequest {
  readonly commonName: string;
  /** `O` of the subject; Kubernetes reads it as groups. */
  readonly organization?: string;
  /** DNS names and IP addresses of a server. */
  readonly hosts?: readonly string[];
  /** Whether it may authenticate a client. */
  readonly client?: boolean;
  readonly days?: number;
}

/** Issues certificates that expire soon and whose authority lives in this object only. */
export interface Authority {
  /** What clients must trust. */
  readonly caPem: string;
  issue(request: CertificateRequest): Promise<KeyPair>;
}

/**
 * A new certificate authority. Keys are EC P-256: an RSA key costs ten times as much to make.
 * @param options.now epoch milliseconds; certificates are valid from a day before, for clocks that lag
 */
export async function createAuthority(options: { readonly name: string; readonly now: number }): Promise<Authority> {
  const keys = await generateKeys();
  const subject = `CN=${options.name}`;
  const validity = (days: number): { notBefore: Date; notAfter: Date } => ({
    notBefore: new Date(options.now - DAY_MS),
    notAfter: new Date(options.now + days * DAY_MS),
  });
  const ca = await X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys,
    signingAlgorithm: ECDSA,
    ...validity(365),
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    caPem: `${ca.toString("pem")}\n`,
    async issue(request) {
      const leaf = await generateKeys();
      const usages = [
        ...(request.hosts ? [ExtendedKeyUsage.serverAuth] : []),
        ...(request.client ? [ExtendedKeyUsage.clientAuth] : []),
      ];
      const certificate = await X509CertificateGenerator.create({
        issuer: subject,
        subject: [
          { CN: [request.commonName] },
          ...(request.organization === undefined ? [] : [{ O: [request.organization] }]),
        ],
        publicKey: leaf.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ECDSA,
        ...validity(request.days ?? 365),
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension(usages),
          ...(request.hosts
            ? [
                new SubjectAlternativeNameExtension(
                  request.hosts.map((host) => ({ type: isIP(host) ? "ip" : "dns", value: host })),
                ),
              ]
            : []),
          await SubjectKeyIdentifierExtension.create(leaf.publicKey),
          await AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ],
      });
      return { certificatePem: `${certificate.toString("pem")}\n`, keyPem: await privateKeyPem(leaf.privateKey) };
    },
  };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]);
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const base64 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${base64.replaceAll(/.{64}(?=.)/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
}
