import { createHash, randomBytes, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { isIPv4 } from "node:net";
import {
  bitString,
  boolean,
  der,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  tagged,
  time,
  utf8String,
} from "./der.ts";

const DAY_MS = 86_400_000;

/** What {@link issueCertificate} signs. Times are epoch milliseconds. */
export interface CertificateRequest {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly signerPublicKey: KeyObject;
  readonly notBefore: number;
  readonly notAfter: number;
  /** An authority may sign others; a leaf serves the given DNS names and IPv4 addresses. */
  readonly use: { readonly kind: "authority" } | { readonly kind: "server"; readonly hosts: readonly string[] };
}

/** An X.509 v3 certificate in DER, written by hand: every library for it costs more start-up time than the whole emulator. */
export function issueCertificate(request: CertificateRequest): Buffer {
  const algorithm = signatureAlgorithm(request.signer);
  const body = sequence(
    tagged(0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(0x40), randomBytes(15)])),
    algorithm,
    distinguishedName(request.issuer),
    sequence(time(request.notBefore), time(request.notAfter)),
    distinguishedName(request.subject),
    request.publicKey.export({ type: "spki", format: "der" }),
    tagged(3, sequence(...extensions(request))),
  );
  return sequence(body, algorithm, bitString(sign("sha256", body, request.signer)));
}

export function certificatePem(certificate: Uint8Array): string {
  const lines = Buffer.from(certificate)
    .toString("base64")
    .replaceAll(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** Valid from a day ago, so that clocks that are a little behind accept it. */
export function validity(now: number, days: number): { notBefore: number; notAfter: number } {
  return { notBefore: now - DAY_MS, notAfter: now + days * DAY_MS };
}

export function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier("2.5.4.3"), utf8String(commonName))));
}

export function signatureAlgorithm(key: KeyObject): Buffer {
  return key.asymmetricKeyType === "rsa"
    ? sequence(objectIdentifier("1.2.840.113549.1.1.11"), der(0x05))
    : sequence(objectIdentifier("1.2.840.10045.4.3.2"));
}

function extensions(request: CertificateRequest): Buffer[] {
  const common = [
    extension("2.5.29.14", octetString(keyIdentifier(request.publicKey))),
    extension("2.5.29.35", sequence(der(0x80, keyIdentifier(request.signerPublicKey)))),
  ];
  if (request.use.kind === "authority")
    return [
      extension("2.5.29.19", sequence(boolean(true)), true),
      extension("2.5.29.15", bitString(Buffer.of(0b0000_0110), 1), true), // keyCertSign, cRLSign
      ...common,
    ];
  return [
    extension("2.5.29.19", sequence(), true),
    extension("2.5.29.15", bitString(Buffer.of(0b1010_0000), 5), true), // digitalSignature, keyEncipherment
    extension("2.5.29.37", sequence(objectIdentifier("1.3.6.1.5.5.7.3.1"))),
    extension("2.5.29.17", sequence(...request.use.hosts.map(generalName))),
    ...common,
  ];
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

function generalName(host: string): Buffer {
  return isIPv4(host) ? der(0x87, Buffer.from(host.split(".").map(Number))) : der(0x82, Buffer.from(host));
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha1")
    .update(key.export({ type: "spki", format: "der" }))
    .digest();
}
