import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CertificateWorkshop } from "../test/certificates.ts";
import { readClientCertificate } from "./client-certificate.ts";

const workshop = new CertificateWorkshop();
afterAll(() => workshop.close());
beforeAll(() => {
  workshop.selfSigned("root", "rsa");
  workshop.issued("middle", "root");
  workshop.issued("leaf", "middle");
  workshop.selfSigned("curve", "ec");
  workshop.selfSigned("edwards", "ed25519");
});

const bundle = (...files: string[]): Buffer => Buffer.from(files.map((file) => workshop.text(file)).join("\n"));

describe("PFX", () => {
  test.for([
    ["as OpenSSL 3 makes it (AES-256, SHA-256)", []],
    ["as OpenSSL 1 made it (RC2-40 and 3DES)", ["-legacy"]],
    ["as Windows makes it (3DES)", ["-legacy", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES"]],
    ["without encryption", ["-certpbe", "NONE", "-keypbe", "NONE"]],
    ["with SHA-512", ["-macalg", "sha512"]],
  ] as const)("%s", async ([, flags]) => {
    const { key, chain } = await readClientCertificate(workshop.pfx("leaf", "pässword", ...flags), "pässword");
    expect(key.asymmetricKeyType).toBe("rsa");
    expect(chain.map(({ subject }) => subject)).toEqual(["CN=leaf"]);
  });

  test("its certificate is the same to the byte", async () => {
    const { chain } = await readClientCertificate(workshop.pfx("leaf", "p"), "p");
    const pem = workshop.text("leaf.crt").replace(/-----[^-]+-----|\s/g, "");
    expect(chain[0].raw.equals(Buffer.from(pem, "base64"))).toBe(true);
    expect(createHash("sha1").update(chain[0].raw).digest("hex")).toBe(
      chain[0].fingerprint.replaceAll(":", "").toLowerCase(),
    );
  });

  test("with a chain, leaf first, whatever the order in the file", async () => {
    const pfx = workshop.pfx("leaf", "p", "-certfile", "root.crt");
    expect((await readClientCertificate(pfx, "p")).chain.map(({ subject }) => subject)).toEqual(["CN=leaf"]);
    const both = bundle("root.crt", "middle.crt");
    const whole = Buffer.concat([both, bundle("leaf.key", "leaf.crt")]);
    expect((await readClientCertificate(whole)).chain.map(({ subject }) => subject)).toEqual([
      "CN=leaf",
      "CN=middle",
      "CN=root",
    ]);
  });

  test("with an EC key", async () => {
    const { key } = await readClientCertificate(workshop.pfx("curve", "p"), "p");
    expect(key.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
  });

  test("without a password, and as base64, which is Key Vault's way", async () => {
    const pfx = workshop.pfx("leaf", "");
    expect((await readClientCertificate(pfx)).chain).toHaveLength(1);
    expect((await readClientCertificate(Buffer.from(`${pfx.toString("base64")}\n`))).chain).toHaveLength(1);
  });
});

describe("PEM", () => {
  test.for([
    ["key first", ["leaf.key", "leaf.crt"]],
    ["certificate first", ["leaf.crt", "leaf.key"]],
    ["EC", ["curve.key", "curve.crt"]],
  ] as const)("%s", async ([, files]) => {
    expect((await readClientCertificate(bundle(...files))).chain).toHaveLength(1);
  });

  test("with an encrypted key", async () => {
    const pem = Buffer.from(workshop.encryptedKey("leaf", "secret") + workshop.text("leaf.crt"));
    expect((await readClientCertificate(pem, "secret")).key.type).toBe("private");
  });

  test.for(["leaf", "curve"])("with a key encrypted as OpenSSL 1 did it, with headers: %s", async (name) => {
    const key = workshop.traditionalKey(name, "secret");
    expect(key).toContain("DEK-Info: AES-256-CBC,");
    const pem = Buffer.from(workshop.text(`${name}.crt`) + key);
    expect((await readClientCertificate(pem, "secret")).chain).toHaveLength(1);
  });
});

describe("what cannot be used says why, and nothing of the password", () => {
  test.for<[string, () => Buffer, string, string]>([
    ["garbage", () => Buffer.from("hello"), "", "it is neither PEM nor PFX"],
    ["nothing", () => Buffer.alloc(0), "", "it is neither PEM nor PFX"],
    ["a damaged PFX", () => workshop.pfx("leaf", "p").subarray(0, 100), "p", "the PFX is damaged"],
    [
      "the wrong password",
      () => workshop.pfx("leaf", "right"),
      "wr0ng",
      "the PFX cannot be opened; check its password",
    ],
    ["a PFX without its key", () => workshop.pfx("leaf", "p", "-nokeys"), "p", "the PFX has no private key"],
    ["a PFX that would take for ever", () => workshop.pfx("leaf", "p", "-iter", "3000000"), "p", "3000000 rounds"],
    [
      "a PFX of many bags that would each take a second",
      () => workshop.repeated(workshop.pfx("leaf", "p", "-iter", "900000", "-maciter"), 200),
      "p",
      "more rounds",
    ],
    [
      "the same in PKCS#12's own derivation",
      () => workshop.repeated(workshop.pfx("leaf", "p", "-legacy", "-iter", "190000"), 200),
      "p",
      "more rounds",
    ],
    ["no key", () => bundle("leaf.crt"), "", "it has no private key"],
    ["no certificate", () => bundle("leaf.key"), "", "none of its certificates is of its private key"],
    ["somebody else's key", () => bundle("root.key", "leaf.crt"), "", "none of its certificates is of its private key"],
    [
      "an encrypted key without its password",
      () => Buffer.from(workshop.encryptedKey("leaf", "secret") + workshop.text("leaf.crt")),
      "wr0ng",
      "its private key cannot be read; check the password",
    ],
    ["an Ed25519 key", () => bundle("edwards.key", "edwards.crt"), "", "its key is of the kind ed25519"],
  ])("%s", async ([, data, password, message]) => {
    const failure = await readClientCertificate(data(), password).then(
      () => new Error("it was read"),
      (error: Error) => error,
    );
    expect(failure).toMatchObject({ name: "CertificateError" });
    expect(failure.message).toContain(message);
    if (password === "wr0ng") expect(failure.message).not.toContain(password);
  });
});
