import { beforeAll, expect, test } from "vitest";
import { SigningKey } from "./signing-key.ts";

const NOW = Date.parse("2026-03-04T05:06:07Z");
const SECONDS = NOW / 1000;
const ISSUER = "https://issuer.example";
const CLAIMS = { iss: ISSUER, nbf: SECONDS, exp: SECONDS + 600, sub: "me" };
let key: SigningKey;
beforeAll(() => {
  key = new SigningKey();
});

test.for([
  { name: "at once", want: { claims: CLAIMS } },
  { name: "in its last second", now: NOW + 599_000, want: { claims: CLAIMS } },
  { name: "expired", now: NOW + 600_000, want: { refused: "expired" } },
  { name: "before its time", now: NOW - 1000, want: { refused: "invalid" } },
  { name: "without an expiry", claims: { ...CLAIMS, exp: undefined }, want: { refused: "invalid" } },
  { name: "of another issuer", claims: { ...CLAIMS, iss: `${ISSUER}/` }, want: { refused: "invalid" } },
])("a token $name", async ({ now = NOW, claims = CLAIMS, want }) => {
  expect(await key.verify(await key.sign(claims), { issuer: ISSUER, now })).toEqual(want);
});

test("another key's token, and what is none", async () => {
  const foreign = await new SigningKey().sign(CLAIMS);
  const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${foreign.split(".")[1]}.`;
  for (const token of [foreign, unsigned, "x.y.z", ""])
    expect(await key.verify(token, { issuer: ISSUER, now: NOW })).toEqual({ refused: "invalid" });
});
