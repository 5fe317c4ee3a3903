import { describe, expect, test } from "vitest";
import type { MatchDelta } from "./delta.ts";
import { NAMESPACED, binding, exception, identity, pod, rid } from "./fixtures.ts";
import { Matcher } from "./matcher.ts";
import type { PodRecord } from "./records.ts";

function keys({ added, removed, changed }: MatchDelta): { added: string[]; removed: string[]; changed: string[] } {
  return {
    added: added.map(({ key }) => key).toSorted(),
    removed: removed.map(({ key }) => key).toSorted(),
    changed: changed.map(({ after }) => after.key).toSorted(),
  };
}

const nothing = { added: [], removed: [], changed: [] };
const P = pod("default/p", "x");
const KEY = `${P.uid}/default/id`;

function ready(): Matcher {
  const matcher = new Matcher();
  matcher.upsertIdentity(identity("default/id"));
  matcher.upsertBinding(binding("default/b", "id", "x"));
  matcher.upsertPod(P);
  return matcher;
}

describe("one event, one delta", () => {
  test("the last piece of the chain adds the assignment, whichever it is", () => {
    const steps = [
      (m: Matcher) => m.upsertIdentity(identity("default/id")),
      (m: Matcher) => m.upsertBinding(binding("default/b", "id", "x")),
      (m: Matcher) => m.upsertPod(P),
    ];
    for (const last of [0, 1, 2]) {
      const matcher = new Matcher();
      for (const [i, step] of steps.entries()) if (i !== last) expect(keys(step(matcher))).toEqual(nothing);
      expect(keys(steps[last]!(matcher))).toEqual({ ...nothing, added: [KEY] });
      expect(keys(steps[last]!(matcher))).toEqual(nothing);
    }
  });

  test.for<{ name: string; event: (m: Matcher) => MatchDelta; want: keyof typeof nothing | "nothing" }>([
    { name: "pod deleted", event: (m) => m.deletePod(P.uid), want: "removed" },
    { name: "pod ends", event: (m) => m.upsertPod({ ...P, phase: "Succeeded" }), want: "removed" },
    { name: "pod loses its label", event: (m) => m.upsertPod({ ...P, labels: {} }), want: "removed" },
    { name: "pod moves to another node", event: (m) => m.upsertPod({ ...P, nodeName: "other" }), want: "changed" },
    { name: "pod gets an address", event: (m) => m.upsertPod({ ...P, podIPs: ["10.0.0.9"] }), want: "nothing" },
    { name: "pod terminates", event: (m) => m.upsertPod({ ...P, deleting: true }), want: "nothing" },
    { name: "binding deleted", event: (m) => m.deleteBinding("default", "b"), want: "removed" },
    { name: "binding selects others", event: (m) => m.upsertBinding(binding("default/b", "id", "y")), want: "removed" },
    {
      name: "binding names nobody",
      event: (m) => m.upsertBinding(binding("default/b", "nobody", "x")),
      want: "removed",
    },
    {
      name: "binding made anew",
      event: (m) => m.upsertBinding(binding("default/b", "id", "x", { uid: "new" })),
      want: "changed",
    },
    {
      name: "L-51 binding annotated",
      event: (m) => m.upsertBinding(binding("default/b", "id", "x", { resourceVersion: "2" })),
      want: "nothing",
    },
    {
      name: "binding weighs more",
      event: (m) => m.upsertBinding(binding("default/b", "id", "x", { weight: 5 })),
      want: "nothing",
    },
    { name: "identity deleted", event: (m) => m.deleteIdentity("default", "id"), want: "removed" },
    {
      name: "identity made anew",
      event: (m) => m.upsertIdentity(identity("default/id", { uid: "new" })),
      want: "changed",
    },
    {
      name: "S13 identity edited",
      event: (m) => m.upsertIdentity(identity("default/id", { spec: { resourceID: rid("new") } })),
      want: "changed",
    },
    {
      name: "identity becomes useless",
      event: (m) => m.upsertIdentity(identity("default/id", { spec: { resourceID: "?" } })),
      want: "removed",
    },
    {
      name: "identity becomes namespaced",
      event: (m) => m.upsertIdentity(identity("default/id", { annotations: NAMESPACED })),
      want: "changed",
    },
    {
      name: "L-51 identity annotated",
      event: (m) => m.upsertIdentity(identity("default/id", { resourceVersion: "2" })),
      want: "nothing",
    },
    { name: "unknown pod deleted", event: (m) => m.deletePod("nobody"), want: "nothing" },
    { name: "unknown binding deleted", event: (m) => m.deleteBinding("default", "nobody"), want: "nothing" },
    { name: "unknown identity deleted", event: (m) => m.deleteIdentity("default", "nobody"), want: "nothing" },
    { name: "unrelated binding", event: (m) => m.upsertBinding(binding("default/other", "id", "y")), want: "nothing" },
    {
      name: "exception",
      event: (m) => m.upsertException(exception("default/e", { aadpodidbinding: "x" })),
      want: "nothing",
    },
  ])("$name: $want", ({ event, want }) => {
    const delta = keys(event(ready()));
    expect(delta).toEqual(want === "nothing" ? nothing : { ...nothing, [want]: [KEY] });
  });

  test("an allow-list of ServiceAccounts is kept to, whatever the type", () => {
    const matcher = ready();
    const listed = (serviceAccounts: string[]) => identity("default/id", { spec: { serviceAccounts } });
    expect(keys(matcher.upsertIdentity(listed(["other"])))).toEqual({ ...nothing, removed: [KEY] });
    expect(matcher.explain(P.uid).denial).toEqual({
      reason: "service-account-not-allowed",
      message: "AzureIdentity default/id serves pods of the ServiceAccounts other only, the pod's is default",
    });
    expect(keys(matcher.upsertPod({ ...P, serviceAccountName: "other" }))).toEqual({ ...nothing, added: [KEY] });
    expect(keys(matcher.upsertIdentity(listed([])))).toEqual({ ...nothing, changed: [KEY] });
  });

  test("S23 a new label takes one identity and gives another", () => {
    const matcher = ready();
    matcher.upsertIdentity(identity("default/id2"));
    matcher.upsertBinding(binding("default/b2", "id2", "y"));
    const delta = matcher.upsertPod({ ...P, labels: { aadpodidbinding: "y" } });
    expect(keys(delta)).toEqual({ added: [`${P.uid}/default/id2`], removed: [KEY], changed: [] });
  });

  test("an earlier binding of the same identity takes over", () => {
    const matcher = ready();
    const delta = matcher.upsertBinding(binding("default/a", "id", "x"));
    expect(delta.changed.map(({ before, after }) => [before.binding.name, after.binding.name])).toEqual([["b", "a"]]);
    expect(keys(matcher.deleteBinding("default", "a"))).toEqual({ ...nothing, changed: [KEY] });
  });

  test("before and removed show what was, after and added what is", () => {
    const matcher = ready();
    const edited = identity("default/id", { spec: { clientID: "edited" }, resourceVersion: "2" });
    const [change] = matcher.upsertIdentity(edited).changed;
    expect(change?.before.identity.spec.clientID).toBe("client-id");
    expect(change?.after.identity).toBe(edited);
    expect(matcher.deleteIdentity("default", "id").removed[0]?.identity).toBe(edited);
  });

  test("records that only are newer are kept without a delta", () => {
    const matcher = ready();
    const newer = identity("default/id", { resourceVersion: "2" });
    const heavier = binding("default/b", "id", "x", { weight: 5, resourceVersion: "2" });
    const addressed = { ...P, podIPs: ["10.0.0.9"] };
    matcher.upsertIdentity(newer);
    matcher.upsertBinding(heavier);
    matcher.upsertPod(addressed);
    const [assignment] = matcher.assignmentsOf(P.uid);
    expect(assignment?.identity).toBe(newer);
    expect(assignment?.binding).toBe(heavier);
    expect(assignment?.pod).toBe(addressed);
  });
});

describe("cost", () => {
  test("a change reaches the pods that it concerns, and nobody else's", () => {
    const matcher = new Matcher();
    for (let i = 0; i < 500; i += 1) {
      matcher.upsertIdentity(identity(`default/id${i}`));
      matcher.upsertBinding(binding(`default/b${i}`, `id${i}`, `x${i}`));
    }
    for (let i = 0; i < 2_000; i += 1) matcher.upsertPod(pod(`ns${i % 7}/p${i}`, `x${i % 500}`));
    const edited = identity("default/id3", { spec: { clientID: "edited" } });
    expect(matcher.upsertIdentity(edited).changed).toHaveLength(4);
    expect(matcher.deleteBinding("default", "b3").removed).toHaveLength(4);
    expect([...matcher.assignments()]).toHaveLength(1_996);
  });

  test("events that change no assignment of a pod do not even look at it", () => {
    let looks = 0;
    const watched = (path: string, label: string): PodRecord =>
      new Proxy(pod(path, label), {
        get: (target, property) => {
          looks += 1;
          return Reflect.get(target, property) as unknown;
        },
      });
    const matcher = ready();
    for (let i = 0; i < 1_000; i += 1) matcher.upsertPod(watched(`ns${i % 10}/p${i}`, i % 2 === 0 ? "x" : "y"));
    looks = 0;
    matcher.upsertIdentity(identity("default/id", { resourceVersion: "2" }));
    matcher.upsertBinding(binding("default/b", "id", "x", { weight: 7, resourceVersion: "2" }));
    matcher.upsertIdentity(identity("default/other"));
    matcher.upsertBinding(binding("default/other", "other", "z"));
    expect(looks).toBe(0);
    // The pods with "y" are not looked at when those with "x" lose theirs.
    const perPod = 3;
    expect(matcher.deleteBinding("default", "b").removed).toHaveLength(501);
    expect(looks).toBeLessThanOrEqual(500 * perPod);
  });

  test("one binding for a thousand pods gives and takes each of them once", () => {
    const matcher = new Matcher();
    for (let i = 0; i < 1_000; i += 1) matcher.upsertPod(pod(`ns${i % 10}/p${i}`, "x"));
    matcher.upsertIdentity(identity("default/id"));
    const { added } = matcher.upsertBinding(binding("default/b", "id", "x"));
    expect(new Set(added.map(({ key }) => key)).size).toBe(1_000);
    expect(matcher.deleteIdentity("default", "id").removed).toHaveLength(1_000);
  });

  test("a namespaced binding does not touch the thousands with the same label elsewhere", () => {
    const matcher = new Matcher({ forceNamespaced: true });
    for (let i = 0; i < 3_000; i += 1) {
      matcher.upsertIdentity(identity(`ns${i}/id`));
      matcher.upsertBinding(binding(`ns${i}/b`, "id", "demo"));
      expect(matcher.upsertPod(pod(`ns${i}/p`, "demo")).added).toHaveLength(1);
    }
    expect(keys(matcher.deleteBinding("ns7", "b")).removed).toEqual(["uid-ns7/p/ns7/id"]);
  });
});
