import { ArmError, computeState } from "@podid/azure-assigner";
import type { ComputeState, MachineScope } from "@podid/azure-assigner";
import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";
import { FakeClock } from "@podid/kube/testing";
import { createLogger } from "@podid/service";
import { afterEach, expect, test } from "vitest";
import { vmProviderId, vmssProviderId } from "../../test/cluster.ts";
import { Reconciler } from "./reconciler.ts";

const INTERVAL = 180_000;
const running: Reconciler[] = [];

afterEach(() => {
  for (const reconciler of running.splice(0)) reconciler.stop();
});

function group(providerId: string): NodeGroup {
  const parsed = parseProviderId(providerId);
  if (!parsed.ok) throw new Error("fixture");
  return parsed.value.group;
}

function start(
  groups: readonly NodeGroup[],
  more: {
    list?: (scope: MachineScope) => Promise<readonly ComputeState[]>;
    compare?: (key: string) => Promise<boolean>;
    intervalMs?: number;
    readsPerSecond?: number;
  } = {},
) {
  const clock = new FakeClock();
  const looks: { at: number; name: string }[] = [];
  const lists: number[] = [];
  const log: string[] = [];
  const reconciler = new Reconciler({
    groups: () => groups,
    list: (scope) => {
      lists.push(clock.monotonic());
      return more.list?.(scope) ?? Promise.resolve(groups.map((one) => computeState(one, {})));
    },
    look: (key) => looks.push({ at: clock.monotonic(), name: key.slice(key.lastIndexOf("/") + 1) }),
    turn: () => 0,
    compare: more.compare ?? (() => Promise.resolve(true)),
    intervalMs: more.intervalMs ?? INTERVAL,
    ...(more.readsPerSecond !== undefined && { readsPerSecond: more.readsPerSecond }),
    clock,
    log: createLogger({ component: "mic", format: "text", write: (line) => log.push(line) }),
  });
  running.push(reconciler);
  reconciler.start();
  return { clock, looks, lists, log, reconciler };
}

const scaleSets = (count: number): NodeGroup[] =>
  Array.from({ length: count }, (_, n) => group(vmssProviderId(`p${n}`, 0, `rg${n}`)));
const vms = (count: number): NodeGroup[] => Array.from({ length: count }, (_, n) => group(vmProviderId(`vm${n}`)));

test("a new leader looks at each soon, again after two minutes, and from then on once per interval, evenly spread", async () => {
  const { clock, looks } = start(scaleSets(3));
  await clock.run(120_000 - 1);
  expect(looks.map(({ at }) => at)).toEqual([0, 80, 160]);
  looks.length = 0;
  await clock.run(INTERVAL);
  expect(looks.map(({ at }) => at - 120_000)).toEqual([0, 20_000, 40_000]);
  looks.length = 0;
  await clock.run(2 * INTERVAL);
  expect(looks.map(({ at }) => at - 120_000 - INTERVAL)).toEqual([0, 60_000, 120_000, 180_000, 240_000, 300_000]);
  expect(new Set(looks.map(({ name }) => name)).size).toBe(3);
});

test("whoever allows MIC fewer reads than ARM does: half of those as well", async () => {
  const { clock, looks } = start(scaleSets(3), { readsPerSecond: 1 });
  await clock.run(10_000);
  expect(looks.map(({ at }) => at)).toEqual([0, 2000, 4000]);
});

test("5 000 scale sets: never more than half of what ARM grants, and nobody is left out", async () => {
  const { clock, looks } = start(scaleSets(5000));
  await clock.run(400_000);
  expect(new Set(looks.slice(0, 5000).map(({ name }) => name)).size).toBe(5000);
  for (let second = 0; second < 400; second += 1) {
    const within = looks.filter(({ at }) => at >= second * 1000 && at < second * 1000 + 1000);
    expect(within.length).toBeLessThanOrEqual(13);
  }
});

test("many VMs of one resource group cost one list, and only those that need it are read", async () => {
  const { clock, looks, lists } = start(vms(20), { compare: (key) => Promise.resolve(!key.endsWith("/vm7")) });
  await clock.run(1000);
  expect([lists, looks.map(({ name }) => name)]).toEqual([[0], ["vm7"]]);
});

test("one that the list does not have, and one that cannot be compared, are read; the others are not held up", async () => {
  const { clock, looks } = start(vms(12), {
    list: () => Promise.resolve(vms(11).map((one) => computeState(one, {}))),
    compare: (key) => (key.endsWith("/vm3") ? Promise.reject(new Error("no")) : Promise.resolve(true)),
  });
  await clock.run(1000);
  expect(looks.map(({ name }) => name)).toEqual(["vm3", "vm11"]);
});

test.for([
  { name: "may not be listed is read one by one, and not asked for again", kind: "forbidden", lists: 1 },
  { name: "could not be listed is read one by one, and listed the next time", kind: "unavailable", lists: 2 },
] as const)("a resource group that $name", async ({ kind, lists: want }) => {
  const { clock, looks, lists, log } = start(vms(12), {
    list: () => Promise.reject(new ArmError({ kind, status: 403, code: "AuthorizationFailed", message: "no" })),
  });
  await clock.run(119_000);
  expect([lists.length, looks.length]).toEqual([1, 12]);
  expect(looks.map(({ at }) => at).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, n) => n * 80));
  expect(log.join("")).toContain("AuthorizationFailed");
  await clock.run(INTERVAL);
  expect([lists.length, looks.length]).toEqual([want, 24]);
});

test("stopped, it asks nothing more", async () => {
  const { clock, looks, reconciler } = start(scaleSets(3));
  reconciler.stop();
  await clock.run(INTERVAL * 2);
  expect([looks.length, clock.pending]).toEqual([1, 0]);
});
