import { describe, expect, test } from "vitest";
import { compareBindings } from "./binding-order.ts";
import { NAMESPACED, binding, exception, identity, pod, rid, splitName } from "./fixtures.ts";
import { match } from "./match.ts";
import type { MatchResult } from "./match.ts";

/** `pod → identity (binding)` of each assignment. */
function pairs({ assignments }: MatchResult): string[] {
  return assignments.map(
    ({ pod: p, identity: i, binding: b }) =>
      `${p.namespace}/${p.name} → ${i.namespace}/${i.name} (${b.namespace}/${b.name})`,
  );
}

function denials({ denials: list }: MatchResult): string[] {
  return list.map(({ pod: p, reason }) => `${p.namespace}/${p.name}: ${reason}`);
}

test("S01 binding order", () => {
  const given = ["test/test2", "default/test1", "default/test3", "test/test1", "default/test2"].map(splitName);
  const sorted = given.toSorted(compareBindings).map(({ namespace, name }) => `${namespace}/${name}`);
  expect(sorted).toEqual(["default/test1", "default/test2", "default/test3", "test/test1", "test/test2"]);
});

test("S02 an identity whose resource id cannot be read is as if it were absent", () => {
  const servicePrincipal = { type: 1, tenantID: "tenantid", clientID: "clientid", resourceID: undefined };
  const identities = [
    identity("default/testazid1", { spec: { resourceID: rid("identity1") } }),
    identity("ns00/testazid2", { spec: { resourceID: rid("identity1") } }),
    identity("default/testazid3", { spec: { resourceID: "testResourceID" } }),
    identity("default/testazid5", { spec: servicePrincipal }),
  ];
  const named = [
    "default/testazid1",
    "ns00/testazid2",
    "default/testazid3",
    "default/testazid4",
    "default/testazid5",
    "ns00/testazid1",
  ];
  const bindings = named.map((path, i) => binding(`${splitName(path).namespace}/b${i}`, splitName(path).name, "x"));
  const result = match({ pods: [pod("default/p", "x")], bindings, identities });
  expect(result.assignments.map(({ identity: i }) => `${i.namespace}/${i.name}`)).toEqual([
    "default/testazid1",
    "default/testazid5",
    "ns00/testazid2",
  ]);
  expect(result.denials.map(({ reason, message }) => ({ reason, message }))).toEqual([
    {
      reason: "identity-invalid",
      message: expect.stringContaining(
        'ignoring azure identity default/testazid3, error: invalid resource id: "testResourceID", must match /subscriptions/<subid>/',
      ) as string,
    },
    { reason: "identity-missing", message: "testazid4 identity not found when using default/b3 binding" },
    { reason: "identity-missing", message: "testazid1 identity not found when using ns00/b5 binding" },
  ]);
});

describe("namespaces", () => {
  const identities = [identity("default/id"), identity("default2/id")];
  const bindings = [binding("default/b", "id", "x"), binding("default2/b", "id", "x")];
  const pods = [pod("default/test-pod", "x"), pod("default2/test-pod2", "x")];

  test("S19 namespaced mode: everybody gets the identity of the own namespace, and no other", () => {
    const one = match(
      { pods: pods.slice(0, 1), bindings: bindings.slice(0, 1), identities },
      { forceNamespaced: true },
    );
    expect(pairs(one)).toEqual(["default/test-pod → default/id (default/b)"]);
    const two = match({ pods, bindings, identities }, { forceNamespaced: true });
    expect(pairs(two)).toEqual([
      "default/test-pod → default/id (default/b)",
      "default2/test-pod2 → default2/id (default2/b)",
    ]);
    expect(denials(two)).toEqual(["default/test-pod: other-namespace", "default2/test-pod2: other-namespace"]);
  });

  test("S20 the annotation does the same for one identity, if it is written exactly", () => {
    const snapshot = { pods: [pod("ns1/p", "x"), pod("ns2/q", "x")], bindings: [binding("ns1/b", "a", "x")] };
    const own = match({ ...snapshot, identities: [identity("ns1/a", { annotations: NAMESPACED })] });
    expect(pairs(own)).toEqual(["ns1/p → ns1/a (ns1/b)"]);
    const annotations = { "aadpodidentity.k8s.io/Behavior": "Namespaced" };
    const any = match({ ...snapshot, identities: [identity("ns1/a", { annotations })] });
    expect(pairs(any)).toEqual(["ns1/p → ns1/a (ns1/b)", "ns2/q → ns1/a (ns1/b)"]);
  });

  test("S21 of two identities with one name the first binding's wins", () => {
    const name = "keyvault-identity";
    const result = match({
      pods: [pod("ns1/p", "keyvault-identity-selector")],
      bindings: ["ns2", "ns1"].map((ns) => binding(`${ns}/${name}-binding`, name, `${name}-selector`)),
      identities: [identity(`ns2/${name}`), identity(`ns1/${name}`)],
    });
    expect(pairs(result)).toEqual([`ns1/p → ns1/${name} (ns1/${name}-binding)`]);
    expect(denials(result)).toEqual(["ns1/p: duplicate-identity-name"]);
    expect(result.warnings).toEqual([
      {
        reason: "duplicate-identity-name",
        message:
          "AzureIdentity keyvault-identity exists in both ns1 and ns2 namespace. Considering renaming it or enabling Namespace mode (https://azure.github.io/aad-pod-identity/docs/configure/match_pods_in_namespace)",
      },
    ]);
  });

  test("an identity that cannot be used takes no other's name away", () => {
    const result = match({
      pods: [pod("ns1/p", "x")],
      bindings: [binding("ns1/b", "id", "x"), binding("ns2/b", "id", "x")],
      identities: [identity("ns1/id", { spec: { resourceID: "?" } }), identity("ns2/id")],
    });
    expect(pairs(result)).toEqual(["ns1/p → ns2/id (ns2/b)"]);
    expect(result.warnings).toEqual([]);
  });
});

describe("S28 pods that are ignored", () => {
  const bindings = [binding("default/b", "id", "x"), binding("default/empty", "id", "")];
  const identities = [identity("default/id")];
  const ignored = "it will be ignored";

  test.for([
    {
      name: "not scheduled",
      given: pod("default/p", "x", { nodeName: undefined }),
      reason: "pod-not-scheduled",
      message: `pod default/p has no assigned node yet. ${ignored}`,
    },
    {
      name: "empty label (L-46)",
      given: pod("default/p", ""),
      reason: "pod-not-labelled",
      message: `pod default/p doesn't contain aadpodidbinding label field. ${ignored}`,
    },
    {
      name: "no binding",
      given: pod("default/p", "y"),
      reason: "no-binding",
      message: `No AzureIdentityBinding found for pod default/p that matches selector: y. ${ignored}`,
    },
    {
      name: "other casing",
      given: pod("default/p", "X"),
      reason: "no-binding",
      message: `No AzureIdentityBinding found for pod default/p that matches selector: X. ${ignored}`,
    },
    {
      name: "succeeded (L-64)",
      given: pod("default/p", "x", { phase: "Succeeded" }),
      reason: "pod-finished",
      message: `pod default/p has ended (Succeeded). ${ignored}`,
    },
    {
      name: "failed (L-64)",
      given: pod("default/p", "x", { phase: "Failed" }),
      reason: "pod-finished",
      message: `pod default/p has ended (Failed). ${ignored}`,
    },
    {
      name: "host network (L-65)",
      given: pod("default/p", "x", { hostNetwork: true }),
      reason: "pod-host-network",
      message: expect.stringContaining("pod default/p uses the network of its node") as string,
    },
  ])("S28 $name", ({ given, reason, message }) => {
    const result = match({ pods: [given], bindings, identities });
    expect(result.assignments).toEqual([]);
    expect(result.denials).toEqual([{ pod: given, reason, message }]);
  });

  test("pods without the label are not even mentioned", () => {
    expect(match({ pods: [pod("default/p", undefined)], bindings, identities })).toEqual({
      assignments: [],
      denials: [],
      warnings: [],
    });
  });

  test("pending, terminating and excepted pods are not ignored", () => {
    const pods = [
      pod("default/a", "x", { phase: "Pending" }),
      pod("default/b", "x", { deleting: true }),
      pod("default/c", "x"),
    ];
    const exceptions = [exception("default/e", { aadpodidbinding: "x" })];
    expect(match({ pods, bindings, identities, exceptions }).assignments).toHaveLength(3);
  });
});

test("two bindings of one identity make one assignment, by the first of them", () => {
  const result = match({
    pods: [pod("default/p", "x")],
    bindings: [binding("default/b2", "id", "x", { weight: 9 }), binding("default/b1", "id", "x")],
    identities: [identity("default/id")],
  });
  expect(pairs(result)).toEqual(["default/p → default/id (default/b1)"]);
  expect(result.denials).toEqual([]);
});

test("L-52: pods that upstream confuses by name have an assignment each", () => {
  const result = match({
    pods: [pod("c/a-b", "x"), pod("b-c/a", "x")],
    bindings: [binding("c/b", "d", "x")],
    identities: [identity("c/d")],
  });
  expect(result.assignments.map(({ key }) => key)).toEqual(["uid-b-c/a/c/d", "uid-c/a-b/c/d"]);
});
