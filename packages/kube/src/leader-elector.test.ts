import fc from "fast-check";
import { afterEach, expect, test } from "vitest";

import { MemoryLease } from "../test/memory-lease.ts";
import { FakeClock, settled } from "./fake-clock.ts";
import { LeaderElector } from "./leader-elector.ts";
import type { LeaderElectorOptions } from "./leader-elector.ts";

const electors: LeaderElector[] = [];
const clock = { current: new FakeClock() };
afterEach(async () => {
  const stopping = Promise.all(electors.splice(0).map((elector) => elector.stop()));
  await clock.current.run(60_000);
  await stopping;
});

const LEASE_MS = 15_000;

function setUp() {
  const time = (clock.current = new FakeClock());
  const lease = new MemoryLease();
  const told: string[] = [];
  const signals = new Map<string, AbortSignal>();
  const stand = (identity: string, options: Partial<LeaderElectorOptions> = {}) => {
    const transport = lease.candidate(time);
    const elector = new LeaderElector({
      transport,
      namespace: "ns",
      name: "mic",
      identity,
      leaseDurationMs: LEASE_MS,
      clock: time,
      random: () => 0,
      onStartedLeading: (signal) => void (told.push(`${identity} leads`), signals.set(identity, signal)),
      onStoppedLeading: () =>
        void told.push(`${identity} stopped${signals.get(identity)?.aborted ? "" : " before its signal"}`),
      ...options,
    });
    electors.push(elector);
    elector.start();
    return { elector, transport };
  };
  return { time, lease, told, stand, signals };
}

test("the first one creates the lease and leads, the second waits", async () => {
  const { time, lease, told, stand } = setUp();
  const a = stand("a");
  await settled();
  const b = stand("b");
  await time.run(60_000);
  expect(told).toEqual(["a leads"]);
  expect([a.elector.isLeader, b.elector.isLeader, b.elector.leader]).toEqual([true, false, "a"]);
  expect([a.elector.epoch, b.elector.epoch, b.elector.remainingMs()]).toEqual([0, -1, 0]);
  expect(lease.stored?.spec).toMatchObject({
    holderIdentity: "a",
    leaseDurationSeconds: 15,
    leaseTransitions: 0,
    acquireTime: expect.stringMatching(/\.\d{6}Z$/),
  });
  // What it costs: one PUT in 2 s for the leader, one GET in half a second for a stand-by.
  expect(a.transport.counts).toMatchObject({ GET: 1, POST: 1, PUT: 30 });
  expect(b.transport.counts).toMatchObject({ GET: 121, PUT: 0 });
});

test("a released lease is taken within a second, with the next epoch", async () => {
  const { time, lease, told, stand } = setUp();
  const a = stand("a");
  await settled();
  const b = stand("b");
  await time.run(10_000);
  await a.elector.stop();
  expect(lease.stored?.spec).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1, leaseTransitions: 0 });
  await time.run(1_000);
  expect(told).toEqual(["a leads", "a stopped", "b leads"]);
  expect(b.elector.epoch).toBe(1);
  expect(a.elector.remainingMs()).toBe(0);
});

test("a leader that died is replaced when its lease was seen unchanged for its whole duration, wrong clocks or not", async () => {
  const { time, lease, told, stand } = setUp();
  lease.write(
    {
      metadata: { name: "mic", namespace: "ns" },
      spec: {
        holderIdentity: "dead",
        leaseDurationSeconds: 15,
        renewTime: "2001-01-01T00:00:00.000000Z",
        leaseTransitions: 4,
      },
    },
    true,
  );
  const b = stand("b");
  time.step(-3_600_000);
  await time.run(LEASE_MS - 1);
  expect(told).toEqual([]);
  time.step(7_200_000);
  await time.run(601);
  expect(told).toEqual(["b leads"]);
  expect(b.elector.epoch).toBe(5);
});

test("a leader whose machine was suspended does not lead until it has renewed, and one whose clock was set back still does", async () => {
  const { time, stand } = setUp();
  const { elector } = stand("a");
  await time.run(1_000);
  // The monotonic clock stands still meanwhile: only the wall clock tells.
  time.step(LEASE_MS);
  expect([elector.isLeader, elector.remainingMs()]).toEqual([false, 0]);
  await time.run(2_000);
  expect(elector.isLeader).toBe(true);
  time.step(-3_600_000);
  expect(elector.isLeader).toBe(true);
});

test.for([{ state: "down" as const }, { state: "hanging" as const }])(
  "a leader whose API server is $state stops at the renew deadline, once, before anybody else leads",
  async ({ state }) => {
    const { time, told, stand } = setUp();
    const a = stand("a");
    await settled();
    stand("b");
    await time.run(5_000);
    const left = a.elector.remainingMs();
    expect(left).toBe(LEASE_MS - 1_000);
    a.transport.state = state;
    await time.run(left - 5_001);
    expect(told).toEqual(["a leads"]);
    await time.run(1);
    expect(told).toEqual(["a leads", "a stopped"]);
    expect(a.elector.isLeader).toBe(false);
    await time.run(6_000);
    expect(told).toEqual(["a leads", "a stopped", "b leads"]);
    a.transport.state = "up";
    await time.run(30_000);
    expect(told).toHaveLength(3);
  },
);

test("the lease counts from when its renewal was sent, not from when the answer came", async () => {
  const { time, told, stand } = setUp();
  const a = stand("a");
  await settled();
  a.transport.answerMs = 3_000;
  await time.run(5_000);
  expect(a.elector.remainingMs()).toBe(LEASE_MS - 3_000);
  a.transport.answerMs = 12_000;
  await time.run(20_000);
  expect(told.slice(0, 2)).toEqual(["a leads", "a stopped"]);
});

test("a lease that was won only after the renew deadline is not used", async () => {
  const { time, told, stand } = setUp();
  const a = stand("a");
  a.transport.answerMs = 11_000;
  await time.run(11_000);
  expect(told).toEqual([]);
  a.transport.answerMs = 0;
  await time.run(1_000);
  expect(told).toEqual(["a leads"]);
});

test("a leader that lost the lease to somebody stops at its next renewal and stands again", async () => {
  const { time, lease, told, stand } = setUp();
  const a = stand("a");
  await settled();
  lease.write(
    { ...lease.stored!, spec: { holderIdentity: "thief", leaseDurationSeconds: 2, leaseTransitions: 9 } },
    false,
  );
  await time.run(2_000);
  expect(told).toEqual(["a leads", "a stopped"]);
  await time.run(3_000);
  expect(told).toEqual(["a leads", "a stopped", "a leads"]);
  expect(a.elector.epoch).toBe(10);
});

test("a deleted lease ends leadership at the next renewal: anybody may have made a new one", async () => {
  const { time, lease, told, stand } = setUp();
  stand("a");
  await settled();
  lease.stored = undefined;
  await time.run(2_000);
  expect(told).toEqual(["a leads", "a stopped"]);
});

test("somebody who annotates the lease does no harm", async () => {
  const { time, lease, told, stand } = setUp();
  stand("a");
  await settled();
  lease.write({ ...lease.stored!, metadata: { ...lease.stored!.metadata, annotations: { x: "y" } } }, false);
  await time.run(60_000);
  expect(told).toEqual(["a leads"]);
  expect(lease.stored?.metadata.annotations).toEqual({ x: "y" });
});

test("a lease whose acquisition was never answered is released on stop", async () => {
  const { time, lease, told, stand } = setUp();
  const a = stand("a");
  a.transport.state = "deaf";
  await settled();
  expect(lease.stored?.spec?.holderIdentity).toBe("a");
  a.transport.state = "up";
  const stopping = a.elector.stop();
  await time.run(1_000);
  await stopping;
  expect(lease.stored?.spec?.holderIdentity).toBe("");
  expect(told).toEqual([]);
});

test("the release waits for onStoppedLeading, but not longer than the lease", async () => {
  const { time, lease, stand } = setUp();
  const drained = Promise.withResolvers<void>();
  const a = stand("a", { onStoppedLeading: () => drained.promise });
  await settled();
  const stopping = a.elector.stop();
  await time.run(1_000);
  expect(lease.stored?.spec?.holderIdentity).toBe("a");
  drained.resolve();
  await stopping;
  expect(lease.stored?.spec?.holderIdentity).toBe("");
  const b = stand("b", { onStoppedLeading: () => new Promise(() => {}) });
  await time.run(1_000);
  const stopped = b.elector.stop();
  await time.run(LEASE_MS);
  await stopped;
  expect(lease.stored?.spec?.holderIdentity).toBe("");
});

test("a restart under the same identity is a new term", async () => {
  const { time, lease, stand } = setUp();
  lease.write(
    {
      metadata: { name: "mic", namespace: "ns" },
      spec: { holderIdentity: "a", leaseDurationSeconds: 15, leaseTransitions: 3 },
    },
    true,
  );
  const a = stand("a");
  await time.run(100);
  expect(a.elector.isLeader).toBe(true);
  expect(a.elector.epoch).toBe(4);
});

test("a callback that throws is survived", async () => {
  const { time, stand } = setUp();
  const a = stand("a", {
    onStartedLeading: () => {
      throw new Error("mine");
    },
  });
  await time.run(30_000);
  expect(a.elector.isLeader).toBe(true);
});

test.for([
  { leaseDurationMs: 5_000, renewDeadlineMs: 5_000 },
  { leaseDurationMs: 5_000, renewDeadlineMs: 3_000, retryPeriodMs: 3_000 },
  { leaseDurationMs: Number.NaN },
])("refuses periods that do not fit: %o", (periods) => {
  const none = () => {};
  expect(
    () =>
      new LeaderElector({
        transport: new MemoryLease().candidate(new FakeClock()),
        namespace: "n",
        name: "l",
        identity: "a",
        onStartedLeading: none,
        onStoppedLeading: none,
        ...periods,
      }),
  ).toThrow(/make each shorter than the next/);
});

test("whatever fails, two never lead at once, epochs rise, and somebody leads in the end", async () => {
  const step = fc.record({
    who: fc.nat(2),
    state: fc.constantFrom("up", "down", "hanging", "deaf"),
    ms: fc.integer({ min: 1, max: 12_000 }),
    answerMs: fc.constantFrom(0, 0, 300, 4_000, 11_000),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { time, stand } = setUp();
      const leading = new Set<string>();
      const epochs: number[] = [];
      let overlaps = 0;
      const all = ["a", "b", "c"].map((identity) => {
        const one = stand(identity, {
          onStartedLeading: () => {
            leading.add(identity);
            epochs.push(one.elector.epoch);
            if (leading.size > 1) overlaps++;
          },
          onStoppedLeading: () => void leading.delete(identity),
        });
        return one;
      });
      for (const { who, state, ms, answerMs } of steps) {
        all[who]!.transport.answerMs = answerMs;
        all[who]!.transport.state = state as "up";
        await time.run(ms);
        expect(all.filter((one) => one.elector.isLeader).length).toBeLessThanOrEqual(1);
      }
      for (const one of all) Object.assign(one.transport, { state: "up", answerMs: 0 });
      await time.run(60_000);
      expect(overlaps).toBe(0);
      expect(leading.size).toBe(1);
      expect(epochs).toEqual([...new Set(epochs)].sort((x, y) => x - y));
      const stopping = Promise.all(electors.splice(0).map((elector) => elector.stop()));
      await time.run(60_000);
      await stopping;
      expect(time.pending).toBe(0);
    }),
    { numRuns: 40 },
  );
});
