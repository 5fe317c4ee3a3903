import { identityRecord } from "@podid/matcher";
import type { IdentityRecord } from "@podid/matcher";
import { expect, test } from "vitest";
import { resourceId } from "../../test/cluster.ts";
import { identityVerdicts } from "./identity-verdicts.ts";
import type { IdentityInput } from "./identity-verdicts.ts";
import { emptySummary } from "./scope-summary.ts";

function identity(spec: object): IdentityRecord {
  const record = identityRecord({ metadata: { namespace: "shop", name: "id", uid: "u" }, spec });
  if (record === undefined) throw new Error("fixture");
  return record;
}

const MANAGED = { type: 0, resourceID: resourceId("x"), clientID: "c" };
const FAILURE = { reason: "RefusedByAzure", message: "FailedIdentityOperation: no" } as const;

function told(spec: object, summary: object = {}, more: Partial<IdentityInput> = {}): string[] {
  const input = { isBound: true, protectedAs: undefined, issuer: undefined, ...more };
  return identityVerdicts({
    identity: identity(spec),
    summary: { ...emptySummary("shop/id"), ...summary },
    ...input,
  }).map(({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`);
}

test.for([
  {
    spec: { ...MANAGED, resourceID: "nonsense" },
    want: 'Ready False InvalidResourceID: invalid resource id: "nonsense"',
  },
  { spec: { ...MANAGED, resourceID: "" }, want: 'Ready False InvalidResourceID: invalid resource id: ""' },
  { spec: { ...MANAGED, serviceAccounts: [1] }, want: "Ready False InvalidSpec: spec.serviceAccounts" },
  { spec: { ...MANAGED, type: 7 }, want: "Ready False UnsupportedType: unsupported identity type 7" },
  { spec: { type: 1 }, want: "Ready False ClientIDMissing: spec.clientID is empty" },
  { spec: { type: 1, clientID: "c" }, want: "Ready False TenantIDMissing: spec.tenantID is empty" },
  { spec: { type: 2, clientID: "c", tenantID: "t" }, want: "Ready False SecretMissing: spec.clientPassword.name" },
  { spec: { type: 3, tenantID: "t" }, want: "Ready False ClientIDMissing: spec.clientID is missing" },
  { spec: { type: 3, clientID: "c" }, want: "Ready False TenantIDMissing: spec.tenantID is missing" },
  { spec: MANAGED, summary: { mismatch: "not mine" }, want: "Ready False ClientIDMismatch: not mine. NMI gives" },
  {
    spec: MANAGED,
    summary: { matched: 2, assigned: 1, failed: 1, failure: FAILURE },
    want: "Ready False RefusedByAzure: Failed",
  },
  { spec: MANAGED, summary: { matched: 2, assigned: 1 }, want: "Ready False Assigning: assigned for 1 of 2 pods" },
  { spec: MANAGED, summary: { matched: 2, assigned: 2 }, want: "Ready True Assigned: assigned for 2 pods" },
  {
    spec: { ...MANAGED, clientID: "" },
    summary: { matched: 2, assigned: 2 },
    want: "Ready True ClientIDUnknown: spec.clientID is empty",
  },
  { spec: MANAGED, want: "Ready True NoPods: no pod is given it" },
  { spec: MANAGED, more: { isBound: false }, want: "Ready True NotBound: no AzureIdentityBinding" },
  {
    spec: MANAGED,
    summary: { matched: 1, assigned: 1 },
    more: { protectedAs: "c" },
    want: "Ready True NeverDetached: assigned for 1 pods; it is on",
  },
])("$want", ({ spec, summary, more, want }) => {
  const [ready, ...others] = told(spec, summary, more);
  expect(ready?.slice(0, want.length)).toBe(want);
  expect(others.filter((other) => !/^(FederatedCredential|AllowedToPods)/.test(other))).toEqual([]);
});

test("an identity of the cluster itself: NMI refuses it to pods, whatever its type", () => {
  for (const spec of [MANAGED, { type: 1, clientID: "c", tenantID: "t", clientPassword: { name: "s" } }])
    expect(told(spec, {}, { protectedAs: "c" })[1]).toMatch(
      /^AllowedToPods Unknown NodeIdentity: c is an identity of the cluster itself .*--allow-node-identities/,
    );
});

test("what has to be entered in Entra: issuer, audience and subjects", () => {
  const spec = { type: 3, clientID: "app", tenantID: "t" };
  const summary = { matched: 2, assigned: 2, serviceAccounts: new Set(["shop/cart", "shop/api"]) };
  expect(told(spec, summary, { issuer: "https://issuer.example/" })).toEqual([
    "Ready True Assigned: assigned for 2 pods",
    "FederatedCredential Unknown SubjectsNeeded: application app needs federated credentials with issuer https://issuer.example/, audience api://AzureADTokenExchange, subjects system:serviceaccount:shop:api, system:serviceaccount:shop:cart",
  ]);
  expect(told(spec)[1]).toContain("Unknown NoServiceAccounts");
  expect(told(spec)[1]).toContain("kubectl get --raw /.well-known/openid-configuration");
});

test("a ServiceAccount that every pod of its namespace has is warned of", () => {
  const summary = { serviceAccounts: new Set(["shop/default", "shop/api"]) };
  expect(told({ type: 3, clientID: "app", tenantID: "t" }, summary)[1]).toMatch(
    /Unknown DefaultServiceAccount: every pod of namespace shop .*subjects system:serviceaccount:shop:api, system:serviceaccount:shop:default$/,
  );
});

test("very many subjects are counted, not listed", () => {
  const serviceAccounts = new Set(Array.from({ length: 14 }, (_, n) => `shop/a${n}`));
  expect(told({ type: 3, clientID: "app", tenantID: "t" }, { serviceAccounts })[1]).toMatch(/ and 4 more$/);
});
