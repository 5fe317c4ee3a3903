import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assignedIdentityName, nodeLabelValue } from "./assigned-identity-name.ts";

const parts = {
  podName: "test-pod",
  podNamespace: "default",
  podUid: "uid-1",
  identityNamespace: "default",
  identityName: "test-id",
};
const free = (): boolean => false;
const SUBDOMAIN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

describe("names of assigned identities", () => {
  test("upstream's form where it is free", () => {
    expect(assignedIdentityName(parts, free)).toBe("test-pod-default-test-id");
  });

  test("L-52: two that upstream confuses get different names", () => {
    const one = { ...parts, podName: "a-b", podNamespace: "c", identityName: "d" };
    const other = { ...parts, podUid: "uid-2", podName: "a", podNamespace: "b-c", identityName: "d" };
    const taken = new Set([assignedIdentityName(one, free)]);
    const second = assignedIdentityName(other, (name) => taken.has(name));
    expect(second).toMatch(/^a-b-c-d-[0-9a-z]{13}$/);
  });

  test("the suffix depends on pod and identity alone, and gives way when it is taken as well", () => {
    const plain = "test-pod-default-test-id";
    const first = assignedIdentityName(parts, (name) => name === plain);
    expect(assignedIdentityName(parts, (name) => name === plain)).toBe(first);
    const second = assignedIdentityName(parts, (name) => name === plain || name === first);
    expect(new Set([plain, first, second]).size).toBe(3);
    expect(assignedIdentityName({ ...parts, podUid: "uid-2" }, (name) => name === plain)).not.toBe(first);
  });

  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  const subdomain = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) =>
    labels
      .join(".")
      .slice(0, 253)
      .replace(/[.-]+$/, ""),
  );

  test("law: always a name that Kubernetes accepts, and never a taken one", () => {
    fc.assert(
      fc.property(subdomain, label, subdomain, fc.nat(3), (podName, podNamespace, identityName, collisions) => {
        const taken = new Set<string>();
        for (let i = 0; i <= collisions; i += 1) {
          const name = assignedIdentityName({ ...parts, podName, podNamespace, identityName }, (n) => taken.has(n));
          expect(name.length).toBeLessThanOrEqual(253);
          expect(name).toMatch(SUBDOMAIN);
          expect(taken.has(name)).toBe(false);
          taken.add(name);
        }
      }),
    );
  });

  test("law: a node's label is its name where that fits, and a valid value always", () => {
    fc.assert(
      fc.property(subdomain, (node) => {
        const value = nodeLabelValue(node);
        expect(value).toMatch(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/);
        if (node.length <= 63) expect(value).toBe(node);
      }),
    );
  });

  test("L-53: long node names with the same beginning get different labels", () => {
    const long = "n".repeat(80);
    expect(nodeLabelValue(`${long}1`)).not.toBe(nodeLabelValue(`${long}2`));
    expect(nodeLabelValue("")).toBe("");
  });
});
