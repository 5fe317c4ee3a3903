import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Result } from "./result.ts";
import { validateAssignedIdentity } from "./validate-assigned-identity.ts";
import { validateBinding } from "./validate-binding.ts";
import { validateException } from "./validate-exception.ts";
import { validateIdentity } from "./validate-identity.ts";

const RID = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/x";
const GUID = "00000000-1111-2222-3333-444444444444";
const metadata = { name: "a", namespace: "default" };
const secret = { name: "s", namespace: "default" };

const identity = (spec: unknown, more: object = {}): unknown => ({
  apiVersion: "aadpodidentity.k8s.io/v1",
  kind: "AzureIdentity",
  metadata,
  spec,
  ...more,
});

function fieldsOf(result: Result<unknown>): string[] {
  if (result.ok) return [];
  for (const { field, fix, message } of result.errors) {
    expect(message).toContain(field.replace(/\[\d+\]$/, ""));
    expect(message.length).toBeGreaterThan(field.length);
    expect(fix).not.toBe("");
  }
  return result.errors.map(({ field }) => field);
}

describe("identities", () => {
  test.for([
    { name: "type 0", spec: { type: 0, resourceID: RID, clientID: GUID } },
    { name: "type 0 by resource id alone, type left out", spec: { resourceID: RID } },
    {
      name: "type 1",
      spec: {
        type: 1,
        tenantID: GUID,
        clientID: GUID,
        clientPassword: secret,
        auxiliaryTenantIDs: ["contoso.onmicrosoft.com"],
      },
    },
    {
      name: "type 2",
      spec: {
        type: 2,
        tenantID: "contoso.com",
        clientID: GUID,
        clientPassword: secret,
        adEndpoint: "https://login.microsoftonline.us/",
      },
    },
    { name: "type 3", spec: { type: 3, tenantID: GUID, clientID: GUID, serviceAccounts: ["a"] } },
    { name: "null where upstream had it", spec: { resourceID: RID, auxiliaryTenantIDs: null, replicas: null } },
  ])("good: $name", ({ spec }) => {
    const object = identity(spec);
    expect(validateIdentity(object)).toEqual({ ok: true, value: object });
  });

  test.for([
    { name: "nothing", spec: {}, want: ["spec.resourceID"] },
    { name: "an unknown type", spec: { type: 7 }, want: ["spec.type", "spec.clientID", "spec.tenantID"] },
    { name: "a resource id with a tail", spec: { resourceID: `${RID}/` }, want: ["spec.resourceID"] },
    { name: "a client id that is none", spec: { resourceID: RID, clientID: "mine" }, want: ["spec.clientID"] },
    {
      name: "type 1 without anything",
      spec: { type: 1 },
      want: ["spec.clientID", "spec.tenantID", "spec.clientPassword.name", "spec.clientPassword.namespace"],
    },
    { name: "type 3 without a tenant", spec: { type: 3, clientID: GUID }, want: ["spec.tenantID"] },
    {
      name: "four tenants, one of them none",
      spec: {
        type: 1,
        clientID: GUID,
        tenantID: GUID,
        clientPassword: secret,
        auxiliaryTenantIDs: [GUID, GUID, GUID, "x y"],
      },
      want: ["spec.auxiliaryTenantIDs[3]", "spec.auxiliaryTenantIDs"],
    },
    {
      name: "tenants of a certificate",
      spec: { type: 2, clientID: GUID, tenantID: GUID, clientPassword: secret, auxiliaryTenantIDs: [GUID] },
      want: ["spec.auxiliaryTenantIDs"],
    },
    {
      name: "an authority without TLS",
      spec: { resourceID: RID, adEndpoint: "http://login.microsoftonline.com" },
      want: ["spec.adEndpoint"],
    },
    {
      name: "an authority with a path",
      spec: { resourceID: RID, adEndpoint: "https://login.microsoftonline.com/x" },
      want: ["spec.adEndpoint"],
    },
    {
      name: "an authority with a user",
      spec: { resourceID: RID, adEndpoint: "https://login.microsoftonline.com@evil.example" },
      want: ["spec.adEndpoint"],
    },
    {
      name: "a name that no ServiceAccount has",
      spec: { resourceID: RID, serviceAccounts: ["a", "B"] },
      want: ["spec.serviceAccounts[1]"],
    },
    { name: "wrong casing", spec: { resourceID: RID, clientId: GUID }, want: ["spec.clientId"] },
    {
      name: "wrong types",
      spec: { type: "0", resourceID: 5, auxiliaryTenantIDs: [1] },
      want: ["spec.type", "spec.resourceID", "spec.auxiliaryTenantIDs[0]"],
    },
    { name: "an integer that is too large", spec: { resourceID: RID, replicas: 2 ** 31 }, want: ["spec.replicas"] },
  ])("bad: $name", ({ spec, want }) => {
    expect(fieldsOf(validateIdentity(identity(spec)))).toEqual(want);
  });

  test("a misspelt field is told with what was meant", () => {
    const result = validateIdentity(identity({ resourceID: RID, ClientID: GUID }));
    expect(result).toMatchObject({ errors: [{ message: `spec.ClientID is "${GUID}": write spec.clientID` }] });
  });

  test("S20 an annotation that has no effect is told", () => {
    const annotated = (annotations: object): unknown =>
      identity({ resourceID: RID }, { metadata: { ...metadata, annotations } });
    expect(validateIdentity(annotated({ "aadpodidentity.k8s.io/Behavior": "namespaced" })).ok).toBe(true);
    for (const annotation of [
      { "aadpodidentity.k8s.io/Behavior": "Namespaced" },
      { "aadpodidentity.k8s.io/behavior": "namespaced" },
    ]) {
      expect(fieldsOf(validateIdentity(annotated(annotation)))).toEqual([
        `metadata.annotations[${Object.keys(annotation)[0]}]`,
      ]);
    }
  });

  test.for([undefined, null, "text", 5, []])("no object: %j", (object) => {
    expect(validateIdentity(object)).toMatchObject({ ok: false, errors: [{ field: "object" }] });
  });

  test("another kind, version and name", () => {
    const object = { apiVersion: "v1", kind: "Pod", metadata, spec: { resourceID: RID } };
    expect(fieldsOf(validateIdentity(object))).toEqual(["apiVersion", "kind"]);
    expect(fieldsOf(validateIdentity({}))).toEqual(["metadata", "spec"]);
    expect(fieldsOf(validateIdentity(identity({ resourceID: RID }, { metadata: { name: "A_b" } })))).toEqual([
      "metadata.name",
    ]);
  });

  test("members that are undefined count as absent", () => {
    expect(validateIdentity(identity({ resourceID: RID, clientID: undefined }, { status: undefined })).ok).toBe(true);
  });
});

describe("bindings", () => {
  test.for([
    { spec: { azureIdentity: "a", selector: "s" }, want: [] },
    { spec: { azureIdentity: "a", selector: "Any_value.1", weight: -3 }, want: [] },
    { spec: {}, want: ["spec.azureIdentity", "spec.selector"] },
    { spec: { azureIdentity: "A", selector: "app=demo" }, want: ["spec.azureIdentity", "spec.selector"] },
    { spec: { azureIdentity: "a", selector: "x".repeat(64) }, want: ["spec.selector"] },
    { spec: { azureIdentity: "a", selector: "s", weight: 1.5 }, want: ["spec.weight"] },
    { spec: { AzureIdentity: "a", selector: "s" }, want: ["spec.AzureIdentity", "spec.azureIdentity"] },
  ])("$spec", ({ spec, want }) => {
    expect(fieldsOf(validateBinding({ metadata, spec })).toSorted()).toEqual(want.toSorted());
  });
});

test.for([
  ["pool1", []],
  ["pool1, pool2", []],
  ["*", []],
  ["", ["metadata.annotations[podid.dev/pre-assign]"]],
  ["pool 1", ["metadata.annotations[podid.dev/pre-assign]"]],
] as const)("a binding that is assigned before pods need it, to %j", ([value, want]) => {
  const annotations = { "podid.dev/pre-assign": value };
  const object = { metadata: { ...metadata, annotations }, spec: { azureIdentity: "a", selector: "s" } };
  expect(fieldsOf(validateBinding(object))).toEqual(want);
});

describe("assigned identities", () => {
  const reference = { metadata: { name: "i" } };
  const spec = {
    pod: "p",
    podNamespace: "n",
    nodename: "node",
    azureIdentityRef: reference,
    azureBindingRef: reference,
  };

  test.for([
    { name: "good", object: { metadata, spec, status: { status: "Assigned" } }, want: [] },
    { name: "as MIC before 1.5 left it", object: { metadata, spec, status: { status: "" } }, want: [] },
    {
      name: "null references",
      object: { metadata, spec: { ...spec, azureIdentityRef: null, azureBindingRef: {} } },
      want: ["spec.azureIdentityRef", "spec.azureBindingRef"],
    },
    { name: "no pod", object: { metadata, spec: { ...spec, pod: undefined } }, want: ["spec.pod"] },
    { name: "an unknown status", object: { metadata, spec, status: { status: "assigned" } }, want: ["status.status"] },
  ])("$name", ({ object, want }) => {
    expect(fieldsOf(validateAssignedIdentity(object))).toEqual(want);
  });
});

describe("exceptions", () => {
  test.for([
    { podLabels: { app: "x", "kubernetes.azure.com/managedby": "aks", empty: "" }, want: [] },
    { podLabels: {}, want: ["spec.podLabels"] },
    { podLabels: undefined, want: ["spec.podLabels"] },
    { podLabels: { "a b": "x" }, want: ["spec.podLabels[a b]"] },
    { podLabels: { "a/b/c": "x", d: "x y" }, want: ["spec.podLabels[a/b/c]", "spec.podLabels[d]"] },
    { podLabels: { app: true }, want: ["spec.podLabels.app"] },
  ])("$podLabels", ({ podLabels, want }) => {
    expect(fieldsOf(validateException({ metadata, spec: { podLabels } }))).toEqual(want);
  });
});

test("law: whatever is validated, the answer is a value", () => {
  const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
  const key = fc.oneof(
    fc.string({ unit, maxLength: 4 }),
    fc.constantFrom("podLabels", "clientPassword", "__proto__", "a/b~%"),
  );
  const value = fc.anything({ key, withNullPrototype: true, withObjectString: false });
  const object = fc.record({ metadata: value, spec: fc.oneof(value, fc.dictionary(key, value)), status: value });
  const json = fc.oneof(value, object).map((any): unknown => JSON.parse(JSON.stringify(any) ?? "null"));
  fc.assert(
    fc.property(json, (any) => {
      for (const validate of [validateIdentity, validateBinding, validateAssignedIdentity, validateException]) {
        const result = validate(any);
        if (!result.ok) expect(result.errors.length).toBeGreaterThan(0);
      }
    }),
  );
});
