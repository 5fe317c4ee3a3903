import { describe, expect, test } from "vitest";
import { RulesKeeper } from "./rules-keeper.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function setUp(intervalMs: number, outcomes: (boolean | Error)[]) {
  const timers: { run: () => void; ms: number; cancelled: boolean }[] = [];
  let repairs = 0;
  const keeper = new RulesKeeper({
    intervalMs,
    log: silent,
    onRepair: () => void repairs++,
    clock: {
      setTimeout: (run, ms) => {
        const timer = { run, ms, cancelled: false };
        timers.push(timer);
        return { cancel: () => void (timer.cancelled = true) };
      },
    },
    rules: {
      ensure: () => {
        const next = outcomes.shift() ?? false;
        return next instanceof Error ? Promise.reject(next) : Promise.resolve({ changed: next });
      },
    },
  });
  const next = async (): Promise<void> => {
    timers.at(-1)?.run();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { keeper, timers, next, repairs: () => repairs };
}

describe("rules", () => {
  test("S75 looked at in the interval; repairs are counted, the first installation is none", async () => {
    const { keeper, timers, next, repairs } = setUp(60_000, [true, false, true]);
    expect(keeper.problem).toBe("the rules are not in yet");
    await keeper.start();
    await next();
    await next();
    expect(keeper.problem).toBeUndefined();
    expect(timers.map(({ ms }) => ms)).toEqual([60_000, 60_000, 60_000]);
    expect(repairs()).toBe(1);
  });

  test("L-44 a failure is retried with growing delays and is the reason not to be ready", async () => {
    const { keeper, timers, next } = setUp(60_000, [
      new Error("locked"),
      new Error("locked"),
      new Error("locked"),
      true,
    ]);
    await keeper.start();
    expect(keeper.problem).toBe("locked");
    await next();
    await next();
    await next();
    expect(keeper.problem).toBeUndefined();
    expect(timers.map(({ ms }) => ms)).toEqual([1_000, 2_000, 4_000, 60_000]);
  });

  test("L-45 an interval of 0 looks once, but not before they are in", async () => {
    const { keeper, timers, next } = setUp(0, [new Error("locked"), true]);
    await keeper.start();
    await next();
    expect(timers).toHaveLength(1);
  });

  test("after stop nothing is scheduled any more", async () => {
    const { keeper, timers } = setUp(60_000, [true]);
    await keeper.start();
    await keeper.stop();
    expect(timers.every(({ cancelled }) => cancelled)).toBe(true);
  });
});
