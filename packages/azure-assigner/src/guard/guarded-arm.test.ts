import { describe, expect, test } from "vitest";
import { JumpingClock } from "../../test/jumping-clock.ts";
import { ArmError } from "../arm-problem.ts";
import type { ArmProblem } from "../arm-problem.ts";
import { identity, scaleSet, virtualMachine } from "../testing/fixtures.ts";
import { MemoryArm } from "../testing/memory-arm.ts";
import { GuardMemory } from "./guard-memory.ts";
import { GuardedArm } from "./guarded-arm.ts";
import type { GuardMemoryOptions } from "./guard-memory.ts";

const [SICK, WELL] = [scaleSet("sick"), scaleSet("well")];
const PATCH = { type: "UserAssigned", userAssignedIdentities: { [identity("a").id]: {} } } as const;
const DOWN: ArmProblem = { kind: "unavailable", status: 503, code: "ServerBusy", message: "busy" };

function guarded(options: GuardMemoryOptions = {}) {
  const arm = new MemoryArm();
  const clock = new JumpingClock();
  return { arm, clock, guard: new GuardedArm(arm, { clock, ...options }) };
}

function throttled(scope: "subscription" | "machine", retryAfterMs = 30_000): ArmProblem {
  return { kind: "throttled", scope, retryAfterMs, status: 429, code: "TooManyRequests", message: "" };
}

describe("Retry-After", () => {
  test("of a machine: nothing for it reaches ARM until it has passed, other machines are free", async () => {
    const { arm, clock, guard } = guarded();
    arm.failNext("read", throttled("machine"));
    await expect(guard.read(SICK)).rejects.toThrow("TooManyRequests");
    clock.time = 10_000;
    await expect(guard.read(SICK)).rejects.toMatchObject({ problem: { retryAfterMs: 20_000 } });
    expect(await guard.enter(SICK)).toMatchObject({ kind: "go" });
    await guard.read(WELL);
    expect([arm.reads, guard.state.held]).toEqual([1, { subscription: 0, machine: 1, identities: 0 }]);
    clock.time = 30_000;
    await guard.read(SICK);
    expect([arm.reads, guard.state.held.machine]).toEqual([2, 0]);
  });

  test("of a subscription: it holds all its machines, for that kind of call alone", async () => {
    const { arm, guard } = guarded();
    arm.failNext("patch", throttled("subscription"));
    await guard.enter(SICK);
    await expect(guard.patch(SICK, PATCH)).rejects.toThrow("TooManyRequests");
    expect(await guard.enter(WELL)).toMatchObject({ kind: "refused", problem: { scope: "subscription" } });
    await guard.read(WELL);
  });
});

test("a successor with the same memory keeps Retry-After, circuits and budget", async () => {
  const clock = new JumpingClock();
  const memory = new GuardMemory({ clock, budget: { groupWrites: { burst: 1, perSecond: 1 } } });
  const arm = new MemoryArm();
  const first = new GuardedArm(arm, memory);
  arm.failNext("read", throttled("machine"));
  await expect(first.read(SICK)).rejects.toThrow("TooManyRequests");
  await first.enter(WELL);
  const second = new GuardedArm(arm, memory);
  await expect(second.read(SICK)).rejects.toThrow("TooManyRequests");
  expect(await second.enter(WELL, { patient: false })).toEqual({ kind: "later", retryAfterMs: 1000 });
  expect([arm.reads, second.state.held.machine]).toEqual([0, 1]);
});

test("Retry-After of a list: it holds lists of the subscription, and no read of one machine", async () => {
  const { arm, guard } = guarded();
  const list = arm.list.bind(arm);
  arm.list = () => Promise.reject(new ArmError(throttled("machine")));
  await expect(guard.list(SICK)).rejects.toThrow("TooManyRequests");
  arm.list = list;
  await expect(guard.list(WELL)).rejects.toThrow("TooManyRequests");
  await guard.read(SICK);
  expect([arm.reads, arm.lists]).toEqual([1, 0]);
});

describe("circuit", () => {
  async function failing(): Promise<ReturnType<typeof guarded>> {
    const world = guarded();
    for (let i = 0; i < 5; i += 1) {
      world.arm.failNext("patch", DOWN);
      await world.guard.enter(SICK);
      await expect(world.guard.patch(SICK, PATCH)).rejects.toThrow("busy");
    }
    return world;
  }

  test("opens for the writes of one group alone; its reads and all others go on", async () => {
    const { guard } = await failing();
    expect(await guard.enter(SICK)).toMatchObject({
      kind: "refused",
      problem: { code: "CircuitOpen", retryAfterMs: 30_000 },
    });
    expect([guard.circuitOf(SICK), guard.circuitOf(WELL), guard.state.circuits.open]).toEqual(["open", "closed", 1]);
    await guard.read(SICK);
    expect(await guard.enter(WELL)).toMatchObject({ kind: "go" });
    await guard.patch(WELL, PATCH);
  });

  test("one trial after the pause; its success closes it", async () => {
    const { guard, clock } = await failing();
    clock.time += 30_000;
    expect(await guard.enter(SICK)).toMatchObject({ kind: "go" });
    expect(guard.circuitOf(SICK)).toBe("half-open");
    expect(await guard.enter(SICK)).toMatchObject({ kind: "refused" });
    await guard.patch(SICK, PATCH);
    expect([guard.circuitOf(SICK), guard.state.circuits]).toEqual(["closed", { open: 0, "half-open": 0 }]);
  });

  test("a trial that is not sent after all may be made by the next", async () => {
    const { guard, clock } = await failing();
    clock.time += 30_000;
    await guard.enter(SICK);
    guard.leave(SICK);
    expect(await guard.enter(SICK)).toMatchObject({ kind: "go" });
  });

  test("an answer that refuses is a sign of life", async () => {
    const { arm, guard } = guarded({ circuit: { failures: 2 } });
    for (const problem of [DOWN, { ...DOWN, kind: "conflict" }, DOWN] as const) {
      arm.failNext("patch", problem);
      await guard.patch(SICK, PATCH).catch(() => {});
    }
    expect(guard.circuitOf(SICK)).toBe("closed");
  });
});

describe("budget", () => {
  test("a group writes twelve times at once, then four times a minute; another group is free", async () => {
    const { guard, clock } = guarded();
    for (let i = 0; i < 12; i += 1) expect(await guard.enter(SICK)).toEqual({ kind: "go", waitedMs: 0 });
    expect(await guard.enter(WELL)).toEqual({ kind: "go", waitedMs: 0 });
    expect(await guard.enter(SICK, { patient: false })).toEqual({ kind: "later", retryAfterMs: 15_000 });
    expect(await guard.enter(SICK)).toEqual({ kind: "go", waitedMs: 15_000 });
    expect(clock.time).toBe(15_000);
  });

  test("trials leave some to others", async () => {
    const { guard } = guarded();
    for (let i = 0; i < 8; i += 1)
      expect(await guard.enter(SICK, { spare: 4, patient: false })).toMatchObject({ kind: "go" });
    expect(await guard.enter(SICK, { spare: 4, patient: false })).toMatchObject({ kind: "later" });
    expect(await guard.enter(SICK)).toEqual({ kind: "go", waitedMs: 0 });
  });

  test("reads of a subscription: 250 at once, then 25 a second, each in its turn", async () => {
    const { guard, clock, arm } = guarded();
    for (let i = 0; i < 300; i += 1) await guard.read(virtualMachine(`vm${i}`));
    expect([arm.reads, clock.time]).toEqual([300, 2000]);
    expect(guard.state.budget.read).toBeCloseTo(0, 1);
  });

  test("polls of running operations count as reads", async () => {
    const { guard, clock } = guarded({ budget: { subscriptionReads: { burst: 1, perSecond: 1 } } });
    const arm = new MemoryArm();
    let waited = 0;
    const polling = new GuardedArm(
      Object.assign(arm, {
        patch: async (group: typeof SICK, _patch: object, options: { beforePoll?: () => Promise<void> }) => {
          for (let i = 0; i < 3; i += 1) await options.beforePoll?.();
          waited = clock.time;
          return arm.read(group);
        },
      }),
      { clock, budget: { subscriptionReads: { burst: 1, perSecond: 1 } } },
    );
    await polling.patch(SICK, PATCH);
    expect(waited).toBe(2000);
    expect(guard.state.budget.read).toBe(1);
  });

  test("who gives up while waiting gives its turn back", async () => {
    const { guard } = guarded({ budget: { groupWrites: { burst: 1, perSecond: 1 } } });
    await guard.enter(SICK);
    const controller = new AbortController();
    const waiting = guard.enter(SICK, { signal: controller.signal });
    controller.abort(new Error("lease lost"));
    await expect(waiting).rejects.toThrow("lease lost");
    expect(await guard.enter(SICK, { patient: false })).toEqual({ kind: "later", retryAfterMs: 1000 });
  });
});
