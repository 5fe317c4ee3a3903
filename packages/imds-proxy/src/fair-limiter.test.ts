import { expect, test } from "vitest";
import { FairLimiter, LimiterFullError } from "./fair-limiter.ts";
import { FakeClock } from "../test/fake-clock.ts";

function setUp(options: { ratePerSecond?: number; concurrency?: number; maxQueuedPerKey?: number } = {}) {
  const clock = new FakeClock();
  const limiter = new FairLimiter({ clock, ratePerSecond: 10, concurrency: 3, ...options });
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const submit = (key: string): Promise<void> =>
    limiter.run(key, () => {
      started.push(key);
      return new Promise((resolve) => ends.push(resolve));
    });
  return { clock, limiter, started, ends, submit };
}

test("no more than the given number run at a time", async () => {
  const { clock, started, ends, submit } = setUp();
  for (let index = 0; index < 5; index++) void submit("a");
  await clock.advance(0);
  expect(started).toHaveLength(3);
  ends[0]?.();
  await clock.advance(0);
  expect(started).toHaveLength(4);
});

test("a pod with many requests delays another by one of them", async () => {
  const { clock, started, ends, submit } = setUp({ concurrency: 1 });
  for (let index = 0; index < 20; index++) void submit("greedy");
  void submit("modest");
  for (let index = 0; index < 3; index++) {
    await clock.advance(1_000);
    ends[index]?.();
  }
  await clock.advance(0);
  expect(started.slice(0, 3)).toEqual(["greedy", "greedy", "modest"]);
});

test("never more than the rate in any second, whichever one picks", async () => {
  const clock = new FakeClock();
  const limiter = new FairLimiter({ clock, ratePerSecond: 10, concurrency: 100 });
  const starts: number[] = [];
  for (let index = 0; index < 40; index++) void limiter.run("a", async () => void starts.push(clock.monotonicMs()));
  await clock.advance(5_000);
  expect(starts).toHaveLength(40);
  for (const start of starts)
    expect(starts.filter((other) => other >= start && other < start + 1_000).length).toBeLessThanOrEqual(10);
});

test("a failing task gives its place back, and a full queue says so at once", async () => {
  const { limiter, submit } = setUp({ concurrency: 1, maxQueuedPerKey: 1 });
  await expect(limiter.run("a", () => Promise.reject(new Error("boom")))).rejects.toThrow("boom");
  void submit("a");
  void submit("a");
  await expect(submit("a")).rejects.toThrow(LimiterFullError);
});
