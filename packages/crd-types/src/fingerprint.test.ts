import { expect, test } from "vitest";
import { specDigest, specFingerprint } from "./fingerprint.ts";
import type { AzureIdentitySpec } from "./types.ts";

const RID = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/x";
const base: AzureIdentitySpec = { resourceID: RID, clientID: "0000-AAAA" };

test.for<{ name: string; spec: AzureIdentitySpec }>([
  { name: "the default type written out", spec: { type: 0, ...base } },
  { name: "another order of keys", spec: { clientID: "0000-AAAA", resourceID: RID } },
  { name: "another casing of ids", spec: { resourceID: RID.toUpperCase(), clientID: "0000-aaaa" } },
  {
    name: "empty instead of absent",
    spec: { ...base, tenantID: "", auxiliaryTenantIDs: null, serviceAccounts: [], clientPassword: {} },
  },
  { name: "fields that nothing reads", spec: { ...base, replicas: 3, metadata: { a: 1 }, adResourceID: "x" } },
])("the same: $name", ({ spec }) => {
  expect(specFingerprint(spec)).toBe(specFingerprint(base));
});

test("the order of service accounts does not matter, that of tenants does", () => {
  const of = (spec: AzureIdentitySpec): string => specFingerprint({ ...base, ...spec });
  expect(of({ serviceAccounts: ["a", "b", "a"] })).toBe(of({ serviceAccounts: ["b", "a"] }));
  expect(of({ auxiliaryTenantIDs: ["a", "b"] })).not.toBe(of({ auxiliaryTenantIDs: ["b", "a"] }));
});

test("every field that matters makes a difference, and none can pass for another", () => {
  const specs: AzureIdentitySpec[] = [
    base,
    { ...base, type: 1 },
    { ...base, resourceID: `${RID}y` },
    { ...base, clientID: "1111" },
    { ...base, tenantID: "t" },
    { ...base, adEndpoint: "t" },
    { ...base, auxiliaryTenantIDs: ["t"] },
    { ...base, auxiliaryTenantIDs: ["t,u"] },
    { ...base, auxiliaryTenantIDs: ["t", "u"] },
    { ...base, serviceAccounts: ["t"] },
    { ...base, clientPassword: { name: "t" } },
    { ...base, clientPassword: { namespace: "t" } },
  ];
  expect(new Set(specs.map(specFingerprint)).size).toBe(specs.length);
});

test("a digest is short and tells fingerprints apart", () => {
  const digests = ["a", "b", "c"].map((clientID) => specDigest(specFingerprint({ clientID })));
  expect(new Set(digests).size).toBe(3);
  expect(digests[0]).toMatch(/^[0-9a-z]{13}$/);
});
