import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { createSelfSigned } from "./self-signed.ts";

test("a self-signed certificate carries the key that signed it", async () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = await createSelfSigned({ commonName: "app", privateKey, now: Date.parse("2026-03-02"), days: 3 });
  const certificate = new X509Certificate(pem);
  expect([certificate.subject, certificate.issuer]).toEqual(["CN=app", "CN=app"]);
  expect(certificate.verify(createPublicKey(privateKey))).toBe(true);
  expect(certificate.checkPrivateKey(privateKey)).toBe(true);
  expect([certificate.validFromDate, certificate.validToDate]).toEqual([
    new Date("2026-03-01"),
    new Date("2026-03-05"),
  ]);
});
