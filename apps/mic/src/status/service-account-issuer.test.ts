import { expect, test } from "vitest";
import { issuerOf } from "./service-account-issuer.ts";

const token = (payload: object): string => `h.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.s`;

test.for<[string, string | undefined]>([
  [token({ iss: "https://oidc.example/cluster" }), "https://oidc.example/cluster"],
  [`${token({ iss: "https://oidc.example/" })}\n`, "https://oidc.example/"],
  [token({ iss: "kubernetes/serviceaccount" }), undefined],
  [token({ iss: 5 }), undefined],
  ["a.b.c", undefined],
  ["", undefined],
])("%s: %s", ([text, want]) => {
  expect(issuerOf(text)).toBe(want);
});
