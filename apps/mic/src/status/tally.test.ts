import fc from "fast-check";
import { expect, test } from "vitest";
import type { BindingSummary } from "./scope-summary.ts";
import { emptySummary } from "./scope-summary.ts";
import { Tally } from "./tally.ts";

const summary = (more: Partial<BindingSummary> = {}): BindingSummary => ({ ...emptySummary("ns/id"), ...more });

test("scopes add up by binding and by identity, and only what changed is told", () => {
  const tally = new Tally();
  expect(tally.put("vmss-1", new Map([["ns/a", summary({ matched: 2, assigned: 1 })]]))).toEqual({
    bindings: new Set(["ns/a"]),
    identities: new Set(["ns/id"]),
  });
  tally.put(
    "vmss-2",
    new Map([
      ["ns/a", summary({ matched: 3 })],
      ["ns/b", summary({ matched: 5 })],
    ]),
  );
  expect(tally.ofBinding("ns/a", "ns/id")).toMatchObject({ matched: 5, assigned: 1 });
  expect(tally.ofIdentity("ns/id")).toMatchObject({ matched: 10, assigned: 1 });
  const same = new Map([
    ["ns/a", summary({ matched: 3 })],
    ["ns/b", summary({ matched: 6 })],
  ]);
  expect(tally.put("vmss-2", same).bindings).toEqual(new Set(["ns/b"]));
  tally.put("vmss-2", new Map());
  expect(tally.ofIdentity("ns/id")).toMatchObject({ matched: 2 });
});

test("a binding that names another identity leaves the first", () => {
  const tally = new Tally();
  tally.put("vmss-1", new Map([["ns/a", summary({ matched: 2 })]]));
  const changed = tally.put("vmss-1", new Map([["ns/a", summary({ identity: "ns/other", matched: 2 })]]));
  expect(changed.identities).toEqual(new Set(["ns/id", "ns/other"]));
  expect([tally.ofIdentity("ns/id").matched, tally.ofIdentity("ns/other").matched]).toEqual([0, 2]);
});

test("which failure is told does not depend on the order of scopes", () => {
  const failures = ["b", "a", "c"].map((message) => summary({ failure: { reason: "MachineGone", message } }));
  for (const order of [failures, failures.toReversed()]) {
    const tally = new Tally();
    order.forEach((failure, n) => tally.put(`vm-${n}`, new Map([["ns/a", failure]])));
    expect(tally.ofBinding("ns/a", "ns/id").failure?.message).toBe("a");
  }
});

test("law: whatever was put before, the sums are those of what was put last", () => {
  const names = fc.constantFrom("ns/a", "ns/b", "ns/c");
  const part = fc
    .record({ matched: fc.nat(5), identity: fc.constantFrom("ns/x", "ns/y") })
    .map((more) => summary(more));
  const put = fc.tuple(fc.constantFrom("s1", "s2", "s3"), fc.array(fc.tuple(names, part), { maxLength: 3 }));
  fc.assert(
    fc.property(fc.array(put, { maxLength: 12 }), (puts) => {
      const [tally, last] = [new Tally(), new Map<string, Map<string, BindingSummary>>()];
      for (const [scope, parts] of puts) {
        const sums = new Map(parts);
        tally.put(scope, sums);
        last.set(scope, sums);
      }
      for (const identity of ["ns/x", "ns/y"]) {
        const wanted = [...last.values()]
          .flatMap((sums) => [...sums.values()])
          .filter((found) => found.identity === identity)
          .reduce((sum, { matched }) => sum + matched, 0);
        expect(tally.ofIdentity(identity).matched).toBe(wanted);
      }
    }),
  );
});
