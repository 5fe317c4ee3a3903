import { pbkdf2Sync } from "node:crypto";
import type Forge from "node-forge";
// @ts-expect-error: the types are of the whole library; this is the part that is needed.
import partOfForge from "node-forge/lib/forge.js";
// These put themselves and what they need into it.
// oxlint-disable-next-line import/no-unassigned-import
import "node-forge/lib/pkcs12.js";
// oxlint-disable-next-line import/no-unassigned-import
import "node-forge/lib/sha512.js";
import { CertificateError } from "./client-certificate.ts";

const forge = partOfForge as typeof Forge;

/** What a PFX holds, as DER: the key as PKCS#8, the certificates in no particular order. */
export interface PfxContent {
  readonly keyDer: Buffer;
  readonly certificates: readonly Buffer[];
}

/** @throws CertificateError */
export function readPfx(der: Buffer, password: string): PfxContent {
  const store = open(der, password);
  const bags = store.safeContents.flatMap(({ safeBags }) => safeBags);
  const key = bags.find(
    ({ type }) => type === forge.pki.oids["pkcs8ShroudedKeyBag"] || type === forge.pki.oids["keyBag"],
  );
  if (key === undefined) throw new CertificateError("the PFX has no private key; export it with its key");
  return {
    keyDer: derOf(key),
    certificates: bags.filter(({ type }) => type === forge.pki.oids["certBag"]).map(derOf),
  };
}

function open(der: Buffer, password: string): Forge.pkcs12.Pkcs12Pfx {
  let asn1: Forge.asn1.Asn1;
  try {
    asn1 = forge.asn1.fromDer(der.toString("latin1"));
  } catch {
    throw new CertificateError("the PFX is damaged");
  }
  // "No password" is written in two ways, and files say not in which.
  for (const attempt of password === "" ? ["", undefined] : [password]) {
    try {
      return withParts(() => forge.pkcs12.pkcs12FromAsn1(asn1, false, attempt));
    } catch (error) {
      if (error instanceof CertificateError) throw error;
      // The next way, or the error below.
    }
  }
  throw new CertificateError("the PFX cannot be opened; check its password");
}

function derOf({ asn1 }: Forge.pkcs12.Bag): Buffer {
  return Buffer.from(forge.asn1.toDer(asn1).getBytes(), "latin1");
}

/**
 * forge, for as long as `run` takes, with three of its parts replaced. Nothing else runs meanwhile.
 *
 * - Its readers of certificates and keys: what they fail to read, EC keys for instance, forge keeps as it is, and what they
 *   can read it writes anew. A certificate is known by the hash of its very bytes, so node reads them instead.
 * - Its PBKDF2, which is slow and takes a password for Latin-1.
 * - Whatever iterates: the number of rounds stands in the file, and who writes files must not be able to stop the process.
 */
function withParts<T>(run: () => T): T {
  const { pki, pkcs5 } = forge;
  const { pkcs12, pbe } = partOfForge as Record<"pkcs12" | "pbe", Derivation>;
  const before = [
    [pki, { certificateFromAsn1: pki.certificateFromAsn1, privateKeyFromAsn1: pki.privateKeyFromAsn1 }],
    [pkcs5, { pbkdf2: pkcs5.pbkdf2 }],
    [pkcs12, { generateKey: pkcs12["generateKey"] }],
    [pbe, { generatePkcs12Key: pbe["generatePkcs12Key"] }],
  ] as const;
  const none = (): never => {
    throw new Error("left to node");
  };
  const bounded =
    (derive: Derive | undefined): Derive =>
    (password, salt, id, iterations, ...rest) =>
      derive?.(password, salt, id, slow(iterations), ...rest);
  const slow = spending(SLOW_ROUNDS);
  Object.assign(pki, { certificateFromAsn1: none, privateKeyFromAsn1: none });
  Object.assign(pkcs5, { pbkdf2: derivedByNode(spending(ROUNDS)) });
  Object.assign(pkcs12, { generateKey: bounded(pkcs12["generateKey"]) });
  Object.assign(pbe, { generatePkcs12Key: bounded(pbe["generatePkcs12Key"]) });
  try {
    return run();
  } finally {
    for (const [part, functions] of before) Object.assign(part, functions);
  }
}

type Derive = (password: unknown, salt: unknown, id: unknown, iterations: number, ...rest: unknown[]) => unknown;
type Derivation = Record<string, Derive | undefined>;

/** Each costs a few microseconds in forge, and a tenth of that in OpenSSL. Files of today have 2 000 to 100 000. */
const SLOW_ROUNDS = 200_000;
const ROUNDS = 1_000_000;
/** Key and certificates, each with a key and a start value to derive, and the hash over all of it. */
const DERIVATIONS = 5;

/** Rounds of one derivation are limited, and those of all together: a file may have any number of parts. */
function spending(most: number): (rounds: number) => number {
  let left = DERIVATIONS * most;
  return (rounds) => {
    if (rounds > most) throw new CertificateError(`the PFX asks for ${rounds} rounds; export it with fewer`);
    left -= rounds;
    if (left < 0) throw new CertificateError("the PFX asks for more rounds than its parts need; export it with fewer");
    return rounds;
  };
}

type DeriveByNode = (
  password: string,
  salt: string,
  rounds: number,
  bytes: number,
  digest: { algorithm: string },
) => string;

function derivedByNode(spend: (rounds: number) => number): DeriveByNode {
  return (password, salt, rounds, bytes, { algorithm }) =>
    pbkdf2Sync(password, Buffer.from(salt, "latin1"), spend(rounds), bytes, algorithm).toString("latin1");
}
