import { describe, expect, test } from "vitest";
import { NAMESPACED, binding, exception, identity, pod } from "./fixtures.ts";
import { Matcher } from "./matcher.ts";

const P = pod("default/p", "x");
const KEY = `${P.uid}/default/id`;

function ready(): Matcher {
  const matcher = new Matcher();
  matcher.upsertIdentity(identity("default/id"));
  matcher.upsertBinding(binding("default/b", "id", "x"));
  matcher.upsertPod(P);
  return matcher;
}

describe("exceptions", () => {
  const labelled = { ...P, labels: { ...P.labels, thispod: "shouldexcept" } };

  test.for<{ name: string; podLabels: Record<string, string>; path: string; want: boolean }>([
    { name: "same label", podLabels: { thispod: "shouldexcept" }, path: "default/e", want: true },
    { name: "any one of several", podLabels: { other: "x", thispod: "shouldexcept" }, path: "default/e", want: true },
    { name: "another casing of the value", podLabels: { thispod: "ShouldExcept" }, path: "default/e", want: true },
    { name: "another casing of the key", podLabels: { thisPod: "shouldexcept" }, path: "default/e", want: false },
    { name: "another namespace", podLabels: { thispod: "shouldexcept" }, path: "other/e", want: false },
    { name: "no labels", podLabels: {}, path: "default/e", want: false },
    { name: "a key that every object inherits", podLabels: { constructor: "x" }, path: "default/e", want: false },
  ])("$name: $want", ({ podLabels, path, want }) => {
    const matcher = ready();
    matcher.upsertPod(labelled);
    matcher.upsertException(exception(path, podLabels));
    expect(matcher.isExcepted(P.uid)).toBe(want);
    expect(matcher.explain(P.uid).exceptions).toHaveLength(want ? 1 : 0);
    expect(matcher.assignmentsOf(P.uid)).toHaveLength(1);
    const [namespace = "", name = ""] = path.split("/");
    matcher.deleteException(namespace, name);
    expect(matcher.isExcepted(P.uid)).toBe(false);
  });

  test("of several exceptions all are told, by name, and one is enough", () => {
    const matcher = ready();
    matcher.upsertPod(labelled);
    for (const name of ["z", "a"]) matcher.upsertException(exception(`default/${name}`, { thispod: "shouldexcept" }));
    expect(matcher.explain(P.uid).exceptions.map(({ name }) => name)).toEqual(["a", "z"]);
    matcher.deleteException("default", "z");
    expect(matcher.isExcepted(P.uid)).toBe(true);
  });

  test("an unknown pod is not excepted", () => {
    expect(new Matcher().isExcepted("nobody")).toBe(false);
  });
});

describe("explain", () => {
  test("an unknown pod", () => {
    expect(new Matcher().explain("u")).toMatchObject({ pod: undefined, denial: { reason: "pod-unknown" } });
  });

  test("a pod that has what it asks for", () => {
    const explanation = ready().explain(P.uid);
    expect(explanation).toMatchObject({
      pod: P,
      selector: "x",
      denial: undefined,
      verdicts: [{ outcome: "assigned" }],
    });
    expect(explanation.assignments.map(({ key }) => key)).toEqual([KEY]);
  });

  test("the pod itself is the broken link", () => {
    const matcher = ready();
    matcher.upsertPod({ ...P, hostNetwork: true });
    expect(matcher.explain(P.uid)).toMatchObject({
      denial: { reason: "pod-host-network" },
      verdicts: [],
      assignments: [],
    });
  });

  test("no binding, but nearly", () => {
    const matcher = ready();
    matcher.upsertPod({ ...P, labels: { aadpodidbinding: "X" } });
    matcher.upsertBinding(binding("default/blank", "id", " x "));
    const { denial, nearMisses } = matcher.explain(P.uid);
    expect(denial?.reason).toBe("no-binding");
    expect(nearMisses.map(({ name }) => name)).toEqual(["b", "blank"]);
  });

  test("every binding, and what becomes of it", () => {
    const matcher = ready();
    matcher.upsertBinding(binding("default/c", "id", "x"));
    matcher.upsertBinding(binding("default/d", "nobody", "x"));
    matcher.upsertBinding(binding("other/e", "id", "x"));
    matcher.upsertIdentity(identity("other/id"));
    matcher.upsertBinding(binding("other/f", "own", "x"));
    matcher.upsertIdentity(identity("other/own", { annotations: NAMESPACED }));
    const told = matcher
      .explain(P.uid)
      .verdicts.map((verdict) => [
        verdict.binding.name,
        verdict.outcome === "denied" ? verdict.denial.reason : verdict.outcome,
      ]);
    expect(told).toEqual([
      ["b", "assigned"],
      ["c", "redundant"],
      ["d", "identity-missing"],
      ["e", "duplicate-identity-name"],
      ["f", "other-namespace"],
    ]);
  });

  test("the first broken link is the pod's when nothing is assigned", () => {
    const matcher = ready();
    matcher.deleteIdentity("default", "id");
    expect(matcher.explain(P.uid).denial).toEqual({
      reason: "identity-missing",
      message: "id identity not found when using default/b binding",
    });
  });
});
