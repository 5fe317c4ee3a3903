import { expect, test } from "vitest";
import { nextStatus } from "./conditions.ts";
import type { Verdict } from "./conditions.ts";
import { writtenStatus } from "./written-status.ts";

const NOW = Date.parse("2026-01-02T00:00:00.700Z");
const COUNTS = { matched: 2, assigned: 1, failed: 0 };
const READY: Verdict = { type: "Ready", status: "False", reason: "Assigning", message: "1 of 2" };
const condition = (more: object = {}) => ({
  type: "Ready",
  status: "False",
  reason: "Assigning",
  message: "1 of 2",
  lastTransitionTime: "2026-01-01T00:00:00Z",
  observedGeneration: 3,
  ...more,
});
const written = (conditions: readonly object[], more: object = {}) =>
  writtenStatus({ metadata: { generation: 3 }, status: { ...COUNTS, conditions, ...more } });

test("an object without status gets all of it", () => {
  expect(nextStatus(writtenStatus({ metadata: {} }), [READY], COUNTS, NOW)).toEqual({
    ...COUNTS,
    conditions: [{ ...READY, lastTransitionTime: "2026-01-02T00:00:00Z" }],
  });
});

test("what is said already is not said again", () => {
  expect(nextStatus(written([condition()]), [READY], COUNTS, NOW)).toBeUndefined();
});

test.for([
  { name: "counts", before: written([condition()], { assigned: 0 }), at: "2026-01-01T00:00:00Z" },
  { name: "a message", before: written([condition({ message: "0 of 2" })]), at: "2026-01-01T00:00:00Z" },
  { name: "a generation", before: written([condition({ observedGeneration: 2 })]), at: "2026-01-01T00:00:00Z" },
  { name: "the status", before: written([condition({ status: "True" })]), at: "2026-01-02T00:00:00Z" },
])("another value of $name is written, and the transition dated $at", ({ before, at }) => {
  expect(nextStatus(before, [READY], COUNTS, NOW)?.conditions).toEqual([condition({ lastTransitionTime: at })]);
});

test("conditions of others stay, ours that no longer apply go", () => {
  const others = condition({ type: "Reviewed" });
  const before = written([condition({ type: "PreAssigned" }), others, condition()]);
  expect(nextStatus(before, [READY], COUNTS, NOW)?.conditions.map(({ type }) => type)).toEqual(["Reviewed", "Ready"]);
});

test("long messages are cut", () => {
  const next = nextStatus(undefined, [{ ...READY, message: "m".repeat(3000) }], COUNTS, NOW);
  expect(next?.conditions[0]?.message).toHaveLength(1024);
});

test("a status that is nonsense is as none", () => {
  const status = { conditions: ["x", null, { reason: "y" }], matched: "1" };
  expect(writtenStatus({ metadata: { generation: "x" }, status })).toEqual({
    generation: undefined,
    matched: undefined,
    assigned: undefined,
    failed: undefined,
    conditions: [],
  });
});
