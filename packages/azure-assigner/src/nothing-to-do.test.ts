import { expect, test } from "vitest";
import { GROUP, setUp } from "../test/set-up.ts";
import { emptyLedger } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import { isSettled } from "./nothing-to-do.ts";
import type { ComputeState } from "./compute-state.ts";
import { identity } from "./testing/fixtures.ts";

const request = { desired: () => [identity("a")], isProtected: () => false, epoch: 1 };
const A = identity("a").key;

async function settledWorld(): Promise<{ state: ComputeState; ledger: Ledger }> {
  const world = setUp();
  await world.assign(["a"], { epoch: 1 });
  const stored = world.ledgers.ledgers.get(GROUP.key);
  if (stored === undefined) throw new Error("fixture");
  return { state: await world.arm.read(GROUP), ledger: stored.ledger };
}

test.for([
  { name: "as it was left", change: {}, want: true },
  { name: "an identity is gone", change: { attached: new Map() }, want: false },
  { name: "an identity was made anew", change: { attached: new Map([[A, identity("a")]]) }, want: false },
  { name: "made again under its name", change: { uniqueId: "other" }, want: false },
  { name: "an operation runs", change: { provisioningState: "Updating" }, want: false },
  { name: "being deleted", change: { provisioningState: "Deleting" }, want: false },
])("a machine: $name", async ({ change, want }) => {
  const { state, ledger } = await settledWorld();
  expect(isSettled(request, ledger, { ...state, ...change }, 0)).toBe(want);
});

test.for([
  { name: "of a former leader", change: { epoch: 0 } },
  { name: "with a request of which nobody heard the end", change: { running: { operation: "o", deadline: 1 } } },
  { name: "that owns something else besides", change: { entries: {} } },
])("a ledger $name", async ({ change }) => {
  const { state, ledger } = await settledWorld();
  const { desired } = request;
  expect(
    isSettled({ ...request, desired: "entries" in change ? () => [] : desired }, { ...ledger, ...change }, state, 0),
  ).toBe("entries" in change);
});

test("what is ours and not needed any more", async () => {
  const { state, ledger } = await settledWorld();
  expect(isSettled({ ...request, desired: () => [] }, ledger, state, 0)).toBe(false);
  expect(isSettled({ ...request, desired: () => [], skip: () => new Set([A]) }, ledger, state, 0)).toBe(true);
  expect(isSettled({ ...request, desired: () => [], isProtected: () => true }, ledger, state, 0)).toBe(true);
});

test("without a ledger: settled unless there is something to take over", async () => {
  const { state } = await settledWorld();
  const none = emptyLedger(GROUP);
  expect(isSettled(request, none, state, 0)).toBe(true);
  expect(isSettled({ ...request, adoptable: () => [A] }, none, state, 0)).toBe(false);
});
