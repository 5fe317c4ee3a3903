import type { AttachedIdentity } from "@podid/azure-assigner";
import { identityRecord } from "@podid/matcher";
import type { IdentityRecord } from "@podid/matcher";
import { describe, expect, test } from "vitest";
import { resourceId } from "../../test/cluster.ts";
import { Protection } from "./protection.ts";

const KEY = resourceId("kubelet").toLowerCase();

function attached(name: string, clientId?: string): AttachedIdentity {
  return { key: resourceId(name).toLowerCase(), id: resourceId(name), ...(clientId !== undefined && { clientId }) };
}

function identity(spec: object, annotations: object = {}): IdentityRecord {
  const record = identityRecord({ metadata: { name: "a", namespace: "n", uid: "u", annotations }, spec });
  if (record === undefined) throw new Error("fixture");
  return record;
}

function protection(ids: readonly string[], identities: readonly IdentityRecord[] = []): Protection {
  return new Protection(ids, (key) => identities.filter(({ resourceKey }) => resourceKey === key));
}

describe("never detached", () => {
  test.for([
    { name: "by client id, in another casing", ids: [" CLIENT "], it: attached("kubelet", "client"), want: true },
    {
      name: "by ARM id, in another casing",
      ids: [resourceId("KUBELET").toUpperCase()],
      it: attached("kubelet", "x"),
      want: true,
    },
    { name: "another one", ids: ["client", KEY], it: attached("other", "x"), want: false },
    { name: "nobody knows which", ids: ["client"], it: attached("other"), want: true },
    { name: "nobody knows which, and nothing is protected", ids: ["", " "], it: attached("other"), want: false },
  ])("$name", ({ ids, it, want }) => {
    expect(protection(ids).isProtected(it)).toBe(want);
  });

  test("an AzureIdentity tells who it is, or says that it is to be kept", () => {
    const spec = { type: 0, resourceID: resourceId("a"), clientID: "Client" };
    expect(protection(["client"], [identity(spec)]).isProtected(attached("a"))).toBe(true);
    expect(protection(["other"], [identity(spec)]).isProtected(attached("a"))).toBe(false);
    expect(protection([], [identity(spec, { "podid.dev/keep": "true" })]).isProtected(attached("a", "x"))).toBe(true);
  });
});

test("what is given by ARM id is known by its client id as well, once a machine shows it", () => {
  const it = protection([resourceId("Kubelet")]);
  const claims = identity({ type: 0, resourceID: resourceId("mine"), clientID: "Kubelets" });
  expect([[...it.ids], it.named(claims)]).toEqual([[[KEY, undefined]], undefined]);
  const state = new Map([[KEY, attached("kubelet", "KUBELETS")]]);
  expect([it.saw(state), it.saw(state)]).toEqual([true, false]);
  expect([[...it.ids], it.named(claims)]).toEqual([[[KEY, "kubelets"]], "kubelets"]);
});

test.for([
  { spec: { type: 0, resourceID: resourceId("kubelet") }, want: KEY },
  { spec: { type: 1, clientID: "CLIENT", tenantID: "t" }, want: "client" },
  { spec: { type: 0, resourceID: resourceId("mine"), clientID: "" }, want: undefined },
])("AzureIdentity $spec names $want", ({ spec, want }) => {
  expect(protection([KEY, "client"]).named(identity(spec))).toBe(want);
});
