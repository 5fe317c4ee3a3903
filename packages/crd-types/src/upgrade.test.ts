import { describe, expect, test } from "vitest";
import { upgradeLegacyObject } from "./upgrade.ts";

describe("upgrade of objects from before 1.6", () => {
  test("every spelling of an identity's fields", () => {
    const metadata = { name: "a", namespace: "default", annotations: { ClientID: "mine" } };
    const old = {
      metadata,
      spec: { Type: 1, ResourceID: "r", clientid: "c", ClientPassword: { Name: "s", Namespace: "n" }, TENANTID: "t" },
    };
    const { object, changed } = upgradeLegacyObject("AzureIdentity", old);
    expect(changed).toBe(true);
    expect(object).toEqual({
      metadata,
      spec: { type: 1, resourceID: "r", clientID: "c", clientPassword: { name: "s", namespace: "n" }, tenantID: "t" },
    });
    expect(old.spec).toHaveProperty("ResourceID");
  });

  test("type 0 is kept (L-80)", () => {
    expect(upgradeLegacyObject("AzureIdentity", { spec: { type: 0, ClientID: "c" } }).object).toEqual({
      spec: { type: 0, clientID: "c" },
    });
  });

  test("a binding, and the present spelling wins", () => {
    const old = { spec: { AzureIdentity: "old", azureIdentity: "new", Selector: "s" } };
    expect(upgradeLegacyObject("AzureIdentityBinding", old).object).toEqual({
      spec: { azureIdentity: "new", selector: "s" },
    });
  });

  test("of two old spellings the same one wins, whatever order they come in", () => {
    const results = [
      { Selector: "a", SELECTOR: "b" },
      { SELECTOR: "b", Selector: "a" },
    ].map((spec) => upgradeLegacyObject("AzureIdentityBinding", { spec }).object);
    expect(results[0]).toEqual(results[1]);
  });

  test("a member called __proto__ stays a member", () => {
    const old = JSON.parse('{"spec": {"ClientID": "c", "__proto__": {"tenantID": "t"}}}') as Record<string, unknown>;
    const { spec } = upgradeLegacyObject("AzureIdentity", old).object as { spec: Record<string, unknown> };
    expect(Object.keys(spec).toSorted()).toEqual(["__proto__", "clientID"]);
    expect(spec["tenantID"]).toBeUndefined();
  });

  test("labels of an exception are the user's, casing and all", () => {
    const old = { spec: { PodLabels: { App: "x", app: "y", PodLabels: "z" } } };
    expect(upgradeLegacyObject("AzurePodIdentityException", old).object).toEqual({
      spec: { podLabels: { App: "x", app: "y", PodLabels: "z" } },
    });
  });

  test("what is right already is given back itself", () => {
    const object = { spec: { clientID: "c", unknown: 1 }, status: { status: "Assigned" }, extra: true };
    expect(upgradeLegacyObject("AzureIdentity", object)).toEqual({ object, changed: false });
    expect(upgradeLegacyObject("AzureIdentity", object).object).toBe(object);
  });

  test.for([{}, { spec: null }, { spec: "text" }, { spec: [] }])(
    "objects without a spec are left alone: %j",
    (object) => {
      expect(upgradeLegacyObject("AzureIdentity", object)).toEqual({ object, changed: false });
    },
  );
});

describe("assigned identities", () => {
  test("S05 null references do no harm, and everything else stays", () => {
    const object = {
      spec: { azureIdentityRef: null, azureBindingRef: null, pod: "p", podNamespace: "n", replicas: 3 },
      status: { status: "Created", availableReplicas: 1 },
    };
    expect(upgradeLegacyObject("AzureAssignedIdentity", object)).toEqual({ object, changed: false });
    expect(upgradeLegacyObject("AzureAssignedIdentity", { spec: { pod: "p" } }).changed).toBe(false);
  });

  test("S05 references carry the group's apiVersion and the bare kind", () => {
    const old = {
      spec: {
        AzureIdentityRef: { kind: "AzureIdentityList", metadata: { name: "i" }, spec: { ClientID: "c" } },
        azurebindingref: { metadata: { name: "b" }, spec: { Selector: "s" } },
        Pod: "p",
        NodeName: "n",
      },
      status: { Status: "Assigned" },
    };
    const apiVersion = "aadpodidentity.k8s.io/v1";
    expect(upgradeLegacyObject("AzureAssignedIdentity", old).object).toEqual({
      spec: {
        azureIdentityRef: { apiVersion, kind: "AzureIdentity", metadata: { name: "i" }, spec: { clientID: "c" } },
        azureBindingRef: { apiVersion, kind: "AzureIdentityBinding", metadata: { name: "b" }, spec: { selector: "s" } },
        pod: "p",
        nodename: "n",
      },
      status: { status: "Assigned" },
    });
  });

  test("an empty reference stays one", () => {
    const object = { spec: { azureIdentityRef: {} } };
    expect(upgradeLegacyObject("AzureAssignedIdentity", object)).toEqual({ object, changed: false });
  });
});
