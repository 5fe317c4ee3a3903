import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { FakeClock, settled } from "./fake-clock.ts";
import { WorkQueue } from "./work-queue.ts";
import type { WorkQueueOptions, WorkResult } from "./work-queue.ts";

function setUp(options: Partial<WorkQueueOptions<string>> = {}) {
  const clock = new FakeClock();
  const start = clock.now();
  const runs: string[] = [];
  const open: {
    readonly key: string;
    readonly done: (result?: WorkResult) => void;
    readonly fail: (error: unknown) => void;
  }[] = [];
  const queue = new WorkQueue({
    concurrency: 2,
    clock,
    random: () => 1,
    handler: (key) =>
      new Promise<WorkResult>((resolve, reject) => {
        runs.push(`${key}@${clock.now() - start}`);
        open.push({ key, done: resolve, fail: reject });
      }),
    ...options,
  });
  const next = () => open.shift()!;
  return { clock, runs, queue, next, open };
}

test("keys wait for start, come in order, once each, and as many at a time as allowed", async () => {
  const { queue, runs, next } = setUp();
  for (const key of ["a", "b", "a", "c"]) queue.add(key);
  expect([queue.depth, queue.running]).toEqual([3, 0]);
  queue.start();
  await settled();
  expect(runs).toEqual(["a@0", "b@0"]);
  expect([queue.depth, queue.running]).toEqual([1, 2]);
  next().done();
  await settled();
  expect(runs).toEqual(["a@0", "b@0", "c@0"]);
});

test("a key that is added while it runs, however often, runs once more afterwards", async () => {
  const { queue, runs, next } = setUp();
  queue.start();
  queue.add("a");
  await settled();
  queue.add("a");
  queue.add("a");
  await settled();
  expect(runs).toHaveLength(1);
  next().done();
  await settled();
  expect(runs).toHaveLength(2);
  next().done();
  await settled();
  expect(runs).toHaveLength(2);
});

test("failures of a key are spaced by doubling delays up to the limit; a success forgets them; other keys are not delayed", async () => {
  const onError = vi.fn<(key: string, error: unknown, retryInMs: number) => void>();
  const { clock, queue, runs, next } = setUp({ baseDelayMs: 100, maxDelayMs: 300, onError });
  queue.start();
  queue.add("a");
  for (const wait of [100, 200, 300, 300]) {
    await settled();
    next().fail(new Error("no"));
    await settled();
    expect(onError).toHaveBeenLastCalledWith("a", expect.any(Error), wait);
    await clock.run(wait);
  }
  queue.add("b");
  await settled();
  expect(runs).toEqual(["a@0", "a@100", "a@300", "a@600", "a@900", "b@900"]);
  next().done();
  await settled();
  queue.add("a");
  await settled();
  next().done();
  next().fail(new Error("no"));
  await settled();
  expect(onError).toHaveBeenLastCalledWith("a", expect.any(Error), 100);
});

test("add brings a failed key forward, but not before a date that the server set", async () => {
  const { clock, queue, runs, next } = setUp({ baseDelayMs: 100 });
  queue.start();
  queue.add("a");
  await settled();
  next().fail(new Error("no"));
  await settled();
  queue.add("a");
  await settled();
  expect(runs).toEqual(["a@0", "a@0"]);
  next().fail(Object.assign(new Error("throttled"), { retryAfterMs: 5_000 }));
  await settled();
  queue.add("a");
  queue.addAfter("a", 10);
  await clock.run(5_499);
  expect(runs).toHaveLength(2);
  await clock.run(1);
  expect(runs).toEqual(["a@0", "a@0", "a@5500"]);
});

test("a handler that adds its own key and fails does not spin", async () => {
  let runs = 0;
  const { clock, queue } = setUp({
    baseDelayMs: 100,
    handler: (key) => {
      runs++;
      queue.add(key);
      return Promise.reject(new Error("no"));
    },
  });
  queue.start();
  queue.add("a");
  await clock.run(10_000);
  expect(runs).toBeLessThan(10);
  await queue.stop();
});

test("a synchronous throw of the handler is a failure like any other", async () => {
  const onError = vi.fn<() => void>();
  const { queue } = setUp({
    onError,
    handler: () => {
      throw new Error("no");
    },
  });
  queue.start();
  expect(() => queue.add("a")).not.toThrow();
  await settled();
  expect(onError).toHaveBeenCalledOnce();
});

test("requeueAfterMs and addAfter: the earlier date stands, an add comes before both", async () => {
  const { clock, queue, runs, next } = setUp();
  queue.start();
  queue.add("a");
  await settled();
  next().done({ requeueAfterMs: 1_000 });
  await settled();
  queue.addAfter("a", 2_000);
  await clock.run(1_000);
  expect(runs).toEqual(["a@0", "a@1000"]);
  next().done();
  await clock.run(5_000);
  expect(runs).toHaveLength(2);
  queue.addAfter("a", 500);
  queue.addAfter("a", 100);
  await clock.run(100);
  expect(runs.at(-1)).toBe("a@6100");
  next().done();
  await settled();
  queue.addAfter("a", 500);
  queue.add("a");
  await settled();
  expect(queue.delayed).toBe(0);
  expect(runs.at(-1)).toBe("a@6100");
});

test("stop drains what runs, drops what waits, and aborts after the grace period", async () => {
  const aborted = vi.fn<() => void>();
  const { clock, queue, runs } = setUp({
    concurrency: 1,
    handler: (key, signal) =>
      new Promise<void>((resolve) => {
        runs.push(key);
        signal.addEventListener("abort", () => (aborted(), resolve()));
      }),
  });
  queue.start();
  queue.add("a");
  queue.add("b");
  queue.addAfter("c", 10);
  await settled();
  const stopped = vi.fn<() => void>();
  const stopping = queue.stop({ graceMs: 1_000 }).then(stopped);
  await clock.run(999);
  expect([aborted.mock.calls.length, stopped.mock.calls.length]).toEqual([0, 0]);
  await clock.run(1);
  await stopping;
  expect(aborted).toHaveBeenCalledOnce();
  queue.add("d");
  await clock.run(10_000);
  expect(runs).toEqual(["a"]);
  expect(clock.pending).toBe(0);
  expect(() => queue.start()).toThrow("was stopped");
});

test("tells metrics the depth, the oldest age, the waiting and the working time", async () => {
  const onStart = vi.fn<(key: string, waitedMs: number) => void>();
  const onDone = vi.fn<(key: string, tookMs: number, succeeded: boolean) => void>();
  const { clock, queue, next } = setUp({ concurrency: 1, onStart, onDone });
  queue.add("a");
  clock.advance(30);
  queue.add("b");
  clock.advance(20);
  expect([queue.depth, queue.oldestAgeMs]).toEqual([2, 50]);
  queue.start();
  await settled();
  clock.advance(5);
  next().done();
  await settled();
  next().fail(new Error("no"));
  await settled();
  expect(onStart.mock.calls).toEqual([
    ["a", 50],
    ["b", 25],
  ]);
  expect(onDone.mock.calls).toEqual([
    ["a", 5, true],
    ["b", 0, false],
  ]);
  expect(queue.oldestAgeMs).toBe(0);
});

test("no key ever runs twice at once, and every add is followed by a run that began after it", async () => {
  const step = fc.record({
    key: fc.constantFrom("a", "b", "c"),
    do: fc.constantFrom("add", "addAfter", "done", "fail", "time"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, queue, runs, open } = setUp({ baseDelayMs: 10, maxDelayMs: 50 });
      queue.start();
      const lastAdd = new Map<string, number>();
      for (const { key, do: what } of steps) {
        if (what === "add") {
          lastAdd.set(key, runs.filter((run) => run.startsWith(key)).length);
          queue.add(key);
        } else if (what === "addAfter") queue.addAfter(key, 20);
        else if (what === "done") open.shift()?.done();
        else if (what === "fail") open.shift()?.fail(new Error("no"));
        else await clock.run(30);
        await settled();
        const active = open.map((run) => run.key);
        expect(new Set(active).size).toBe(active.length);
        expect(active.length).toBeLessThanOrEqual(2);
      }
      while (open.length > 0 || queue.delayed > 0 || queue.depth > 0) {
        open.shift()?.done();
        await clock.run(100);
      }
      for (const [key, runsBefore] of lastAdd)
        expect(runs.filter((run) => run.startsWith(key)).length).toBeGreaterThan(runsBefore);
    }),
    { numRuns: 100 },
  );
});

test("refuses a concurrency below one", () => {
  expect(() => setUp({ concurrency: 0 })).toThrow(/concurrency is 0; set it to 1 or more/);
});
