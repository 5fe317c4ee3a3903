import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rid } from "./fixtures.ts";
import { bindingRecord, exceptionRecord, identityRecord } from "./object-records.ts";
import { createPodProjector, podRecord } from "./pod-record.ts";

const metadata = { name: "a", namespace: "ns", uid: "u", resourceVersion: "7" };

describe("pods", () => {
  const object = {
    metadata: {
      ...metadata,
      labels: { aadpodidbinding: "x", app: "y" },
      creationTimestamp: "2026-01-02T03:04:05Z",
      deletionTimestamp: "2026-01-02T04:00:00Z",
    },
    spec: { nodeName: "n", hostNetwork: true, serviceAccountName: "sa" },
    status: { phase: "Running", podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }] },
  };
  const want = {
    uid: "u",
    namespace: "ns",
    name: "a",
    nodeName: "n",
    labels: { aadpodidbinding: "x", app: "y" },
    phase: "Running",
    hostNetwork: true,
    deleting: true,
    createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    serviceAccountName: "sa",
    podIPs: ["10.0.0.1", "fd00::1"],
  };

  test("all that matching needs", () => {
    expect(podRecord(object)).toEqual(want);
    expect(createPodProjector()(object)).toEqual(want);
  });

  test("a projector keeps what it is told to", () => {
    const project = createPodProjector({ labels: ["aadpodidbinding"], podIPs: false });
    expect(project(object)).toEqual({ ...want, labels: { aadpodidbinding: "x" }, podIPs: [] });
  });

  test("a bare pod", () => {
    expect(podRecord({ metadata, spec: { nodeName: "" }, status: { podIP: "10.0.0.1" } })).toEqual({
      uid: "u",
      namespace: "ns",
      name: "a",
      nodeName: undefined,
      labels: {},
      phase: undefined,
      hostNetwork: false,
      deleting: false,
      createdAt: 0,
      serviceAccountName: "",
      podIPs: ["10.0.0.1"],
    });
  });
});

test.for([
  undefined,
  null,
  5,
  "text",
  [],
  {},
  { metadata: null },
  { metadata: { name: "a" } },
  { metadata: { namespace: "a" } },
])("no record of %j", (object) => {
  for (const read of [podRecord, bindingRecord, identityRecord, exceptionRecord]) expect(read(object)).toBeUndefined();
});

test("law: whatever JSON comes, it makes a record or none", () => {
  const part = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(
      fc.constantFrom(
        "name",
        "namespace",
        "uid",
        "labels",
        "annotations",
        "type",
        "serviceAccounts",
        "podLabels",
        "podIPs",
        "phase",
      ),
      fc.jsonValue(),
    ),
  );
  fc.assert(
    fc.property(fc.record({ metadata: part, spec: part, status: part }), (object) => {
      const named = { ...object, metadata: { ...metadata, ...(object.metadata as object) } };
      for (const read of [podRecord, createPodProjector(), bindingRecord, identityRecord, exceptionRecord]) {
        read(object);
        read(named);
      }
    }),
  );
});

describe("identities", () => {
  test("all that matching needs", () => {
    const annotations = { "aadpodidentity.k8s.io/Behavior": "namespaced", "podid.dev/keep": "true" };
    const spec = { type: 0, resourceID: rid("X"), clientID: "c" };
    expect(identityRecord({ metadata: { ...metadata, annotations }, spec })).toEqual({
      ...metadata,
      namespaced: true,
      keep: true,
      spec,
      fingerprint: expect.any(String) as string,
      resourceKey: rid("x").toLowerCase(),
      problem: undefined,
    });
  });

  test("a service principal with all of its fields", () => {
    const spec = {
      type: 1,
      clientID: "c",
      tenantID: "t",
      clientPassword: { name: "s", namespace: "n" },
      auxiliaryTenantIDs: ["a"],
      adEndpoint: "https://login.microsoftonline.us/",
      adResourceID: "r",
      replicas: 1,
      metadata: { x: 1 },
    };
    expect(identityRecord({ metadata, spec })?.spec).toEqual(spec);
    const noise = { ...spec, clientPassword: { name: 5, other: "x" }, replicas: "1", tenantID: null, unknown: true };
    const { tenantID: _, replicas: __, ...rest } = spec;
    expect(identityRecord({ metadata, spec: noise })?.spec).toEqual({ ...rest, clientPassword: {} });
  });

  test("field names from before 1.6", () => {
    const record = identityRecord({ metadata, spec: { type: 0, ResourceID: rid("x"), ClientID: "c" } });
    expect(record).toMatchObject({ spec: { resourceID: rid("x"), clientID: "c" }, problem: undefined });
  });

  test.for([
    { name: "no resource id", spec: {}, problem: "invalid resource id" },
    { name: "no spec at all", spec: undefined, problem: "invalid resource id" },
    { name: "a resource id of another type", spec: { resourceID: 5 }, problem: "invalid resource id" },
    { name: "an unknown type", spec: { type: 9 }, problem: "unsupported identity type 9" },
    { name: "a type that is text", spec: { type: "1" }, problem: 'unsupported identity type "1"' },
    { name: "federation without a tenant", spec: { type: 3, clientID: "c" }, problem: "spec.tenantID is missing" },
    { name: "federation without a client", spec: { type: 3, tenantID: "t" }, problem: "spec.clientID is missing" },
    {
      name: "an allow-list that would come out empty",
      spec: { type: 3, tenantID: "t", clientID: "c", serviceAccounts: [5] },
      problem: "spec.serviceAccounts is [5]",
    },
  ])("cannot be used: $name", ({ spec, problem }) => {
    expect(identityRecord({ metadata, spec })?.problem).toContain(problem);
  });

  test.for([
    { type: 1 },
    { type: 2 },
    { type: 3, tenantID: "t", clientID: "c" },
    { type: 3, tenantID: "t", clientID: "c", serviceAccounts: [] },
    { resourceID: rid("x"), auxiliaryTenantIDs: null },
  ])("can be used: %j", (spec) => {
    expect(identityRecord({ metadata, spec })?.problem).toBeUndefined();
  });

  test.for([
    { value: "true", keep: true },
    { value: "", keep: true },
    { value: "False", keep: false },
  ])("keep $value", ({ value, keep }) => {
    expect(identityRecord({ metadata: { ...metadata, annotations: { "podid.dev/keep": value } } })?.keep).toBe(keep);
  });
});

test("bindings", () => {
  const spec = { azureIdentity: "i", selector: "s", weight: -2 };
  expect(bindingRecord({ metadata, spec })).toEqual({ ...metadata, ...spec });
  expect(bindingRecord({ metadata, spec: { AzureIdentity: "i", Selector: "s" } })).toEqual({
    ...metadata,
    ...spec,
    weight: 0,
  });
  expect(bindingRecord({ metadata })).toEqual({ ...metadata, azureIdentity: "", selector: "", weight: 0 });
});

test("exceptions", () => {
  const of = (spec: unknown) => exceptionRecord({ metadata, spec })?.podLabels;
  expect(of({ podLabels: { a: "b", c: 5 } })).toEqual({ a: "b" });
  expect(of({ PodLabels: { a: "b" } })).toEqual({ a: "b" });
  expect(of(undefined)).toEqual({});
});

describe("what a pod's status adds", () => {
  const made = (spec: object, conditions: readonly object[]) =>
    podRecord({ metadata: { uid: "u", namespace: "n", name: "p" }, spec, status: { conditions } });

  test("the readiness gate is there only if the pod declares it", () => {
    const condition = { type: "podid.dev/identity-assigned", status: "True", reason: "Assigned", message: "m" };
    const readinessGates = [{ conditionType: "other" }, { conditionType: "podid.dev/identity-assigned" }];
    expect(made({}, [condition])).not.toHaveProperty("identityGate");
    expect(made({ readinessGates }, [])?.identityGate).toEqual({ status: undefined, reason: "", message: "" });
    const gate = { status: "True", reason: "Assigned", message: "m" };
    expect(made({ readinessGates }, [condition])?.identityGate).toEqual(gate);
    expect(made({ readinessGates: "nonsense" }, [condition])).not.toHaveProperty("identityGate");
    expect(made({ readinessGates }, [{ ...condition, status: "Maybe" }])?.identityGate?.status).toBeUndefined();
  });

  test("when it was scheduled, where that is wanted", () => {
    const scheduled = { type: "PodScheduled", status: "True", lastTransitionTime: "2026-01-01T00:00:01Z" };
    expect(made({}, [scheduled])?.scheduledAt).toBe(Date.parse("2026-01-01T00:00:01Z"));
    expect(made({}, [{ ...scheduled, status: "False" }])).not.toHaveProperty("scheduledAt");
    expect(made({}, [{ ...scheduled, lastTransitionTime: "?" }])).not.toHaveProperty("scheduledAt");
    const object = { metadata: { uid: "u", namespace: "n", name: "p" }, status: { conditions: [scheduled] } };
    expect(createPodProjector()(object)).not.toHaveProperty("scheduledAt");
    expect(createPodProjector({ scheduledAt: true })(object)).toHaveProperty("scheduledAt");
  });
});

test("a binding's node pools, unless there are none", () => {
  const made = (annotations: object) =>
    bindingRecord({ metadata: { namespace: "n", name: "b", annotations }, spec: { selector: "s" } });
  expect(made({ "podid.dev/pre-assign": "a,b" })?.preAssign).toEqual(["a", "b"]);
  expect(made({ "podid.dev/pre-assign": "" })).not.toHaveProperty("preAssign");
});
