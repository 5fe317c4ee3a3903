import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { isIP } from "node:net";
import { bits, boolean, der, integer, octets, oid, sequence, set, time, utf8 } from "./der.ts";

/** A throw-away authority and a server certificate from it, PEM. No key of the authority survives. */
export interface ServerCredentials {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

const DAY = 86_400_000;
const ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));

/**
 * Credentials for a server known under `hosts` (DNS names and IP addresses), valid for a year around `now`.
 * Written by hand because the libraries for it cost more start-up time than the whole emulator.
 */
export function createCredentials(hosts: readonly string[], now: number): ServerCredentials {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = name("kube-emulator throw-away CA");
  const common = { issuer, signer: authority.privateKey, signerKey: authority.publicKey, now };
  const ca = certificate({
    ...common,
    subject: issuer,
    key: authority.publicKey,
    extensions: [
      extension("2.5.29.19", sequence(boolean(true)), true),
      // keyCertSign and cRLSign
      extension("2.5.29.15", bits(Buffer.from([0x06]), 1), true),
    ],
  });
  const leaf = certificate({
    ...common,
    subject: name("kube-emulator"),
    key: server.publicKey,
    extensions: [
      extension("2.5.29.19", sequence(), true),
      extension("2.5.29.15", bits(Buffer.from([0x80]), 7), true),
      extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.1")), false),
      extension("2.5.29.17", sequence(...hosts.map(alternativeName)), false),
    ],
  });
  return { caPem: ca, certPem: leaf, keyPem: server.privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

function certificate(o: {
  issuer: Buffer;
  subject: Buffer;
  key: KeyObject;
  signer: KeyObject;
  signerKey: KeyObject;
  extensions: readonly Buffer[];
  now: number;
}): string {
  const content = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([0x01]), randomBytes(15)])),
    ECDSA_SHA256,
    o.issuer,
    sequence(time(o.now - DAY), time(o.now + 365 * DAY)),
    o.subject,
    o.key.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      sequence(
        ...o.extensions,
        extension("2.5.29.14", octets(keyId(o.key)), false),
        extension("2.5.29.35", sequence(der(0x80, keyId(o.signerKey))), false),
      ),
    ),
  );
  const whole = sequence(content, ECDSA_SHA256, bits(sign("sha256", content, o.signer)));
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function name(commonName: string): Buffer {
  return sequence(set(sequence(oid("2.5.4.3"), utf8(commonName))));
}

function extension(id: string, value: Buffer, critical: boolean): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));
}

function keyId(key: KeyObject): Buffer {
  return createHash("sha1")
    .update(key.export({ type: "spki", format: "der" }))
    .digest();
}

function alternativeName(host: string): Buffer {
  if (isIP(host) === 4) return der(0x87, Buffer.from(host.split(".").map(Number)));
  if (isIP(host) === 6) return der(0x87, ipv6(host));
  return der(0x82, Buffer.from(host, "ascii"));
}

function ipv6(address: string): Buffer {
  // The URL parser writes every form of an IPv6 address as hexadecimal groups with at most one "::".
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => "0"), ...right];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}
