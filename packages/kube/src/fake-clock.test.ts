import { expect, test } from "vitest";

import { FakeClock } from "./fake-clock.ts";

test("runs what falls due in order, each at its own time, and nothing that was cancelled", () => {
  const clock = new FakeClock(1_000);
  const told: string[] = [];
  const tell = (name: string) => () => told.push(`${name}@${clock.now()}`);
  clock.setTimeout(tell("late"), 50);
  clock.setTimeout(tell("first"), 10);
  clock.setTimeout(() => clock.setTimeout(tell("nested"), 5), 10);
  clock.setTimeout(tell("cancelled"), 20).cancel();
  clock.setTimeout(tell("never"), 101);
  clock.advance(100);
  expect(told).toEqual(["first@1010", "nested@1015", "late@1050"]);
  expect([clock.now(), clock.monotonic(), clock.pending, clock.nextIn]).toEqual([1_100, 100, 1, 1]);
});

test("a step of the wall clock moves neither durations nor timers", () => {
  const clock = new FakeClock(1_000);
  let fired = false;
  clock.setTimeout(() => (fired = true), 10);
  clock.step(-500);
  clock.advance(9);
  expect([clock.now(), clock.monotonic(), fired]).toEqual([509, 9, false]);
  clock.advance(1);
  expect(fired).toBe(true);
});

test("run lets promises settle, so that timers which they set count too", async () => {
  const clock = new FakeClock(0);
  const pause = (ms: number) => new Promise<void>((resolve) => clock.setTimeout(resolve, ms));
  const at: number[] = [];
  void (async () => {
    for (let i = 0; i < 3; i++) {
      await pause(10);
      at.push(clock.now());
    }
  })();
  await clock.run(30);
  expect(at).toEqual([10, 20, 30]);
});
