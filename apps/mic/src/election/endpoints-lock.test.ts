import { ResourceClient, RESOURCES } from "@podid/kube";
import type { KubeObject } from "@podid/kube";
import { FakeClock } from "@podid/kube/testing";
import { createLogger } from "@podid/service";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cluster } from "../../test/cluster.ts";
import { EndpointsLock } from "./endpoints-lock.ts";
import { readRecord, RECORD_ANNOTATION } from "./leader-record.ts";
import type { LeaderRecord } from "./leader-record.ts";

const NAME = "aad-pod-identity-mic";
const DURATION_MS = 15_000;
const signal = new AbortController().signal;

let cluster: Cluster;
let clock: FakeClock;
let log: string[];
let endpoints: ResourceClient;

beforeEach(async () => {
  cluster = await Cluster.start();
  clock = new FakeClock();
  log = [];
  endpoints = new ResourceClient(cluster.transport, RESOURCES.endpoints);
});
afterEach(() => cluster.close());

function lock(isSuperseded: (holder: string) => boolean = () => false): EndpointsLock {
  return new EndpointsLock({
    transport: cluster.transport,
    namespace: "default",
    name: NAME,
    identity: "podid-1",
    durationMs: DURATION_MS,
    clock,
    log: createLogger({ component: "mic", format: "text", write: (line) => log.push(line) }),
    isSuperseded,
  });
}

/** As client-go's lock of aad-pod-identity writes it. */
function upstream(holderIdentity: string, renewed = 0): LeaderRecord {
  return {
    holderIdentity,
    leaseDurationSeconds: 15,
    acquireTime: "2020-01-01T00:00:00Z",
    renewTime: `2020-01-01T00:00:${String(renewed).padStart(2, "0")}Z`,
    leaderTransitions: 3,
  };
}

async function store(record: object): Promise<KubeObject> {
  const annotations = { other: "stays", [RECORD_ANNOTATION]: JSON.stringify(record) };
  const before = await endpoints.get(NAME, "default").catch(() => undefined);
  if (before !== undefined) return endpoints.update({ ...before, metadata: { ...before.metadata, annotations } });
  return endpoints.create({ metadata: { name: NAME, namespace: "default", annotations } });
}

async function stored(): Promise<LeaderRecord | undefined> {
  return readRecord(await endpoints.get(NAME, "default"));
}

describe("aad-pod-identity's lock", () => {
  test("where there is none, none is made and nobody is waited for", async () => {
    const mine = lock();
    expect(mine.remainingMs()).toBe(0);
    await mine.refresh(signal);
    expect(mine.remainingMs()).toBe(Infinity);
    await mine.release();
    expect((await endpoints.list()).items).toEqual([]);
  });

  test("a MIC of aad-pod-identity that renews is waited for; one that stopped renewing is not, by our own clock", async () => {
    await store(upstream("mic-old"));
    const mine = lock();
    await mine.refresh(signal);
    expect([mine.remainingMs(), mine.waitingFor]).toEqual([0, "mic-old"]);
    clock.advance(DURATION_MS - 1);
    await store(upstream("mic-old", 14));
    await mine.refresh(signal);
    clock.advance(DURATION_MS - 1);
    await mine.refresh(signal);
    expect(mine.remainingMs()).toBe(0);
    clock.advance(1);
    await mine.refresh(signal);
    expect([mine.remainingMs(), mine.waitingFor]).toEqual([DURATION_MS, undefined]);
    expect(await stored()).toMatchObject({ holderIdentity: "podid-1", leaseDurationSeconds: 15, leaderTransitions: 4 });
    expect((await endpoints.get(NAME, "default")).metadata.annotations).toMatchObject({ other: "stays" });
    expect(log.filter((line) => line.includes("mic-old leads"))).toHaveLength(1);
  });

  test.for([
    { name: "released", record: upstream("") },
    { name: "without a record that can be read", record: "nonsense" as unknown as LeaderRecord },
  ])("$name, it is taken at once", async ({ record }) => {
    await store(record);
    const mine = lock();
    await mine.refresh(signal);
    expect(mine.remainingMs()).toBe(DURATION_MS);
  });

  test("held by one of ours that lost its Lease, it is taken at once", async () => {
    await store(upstream("podid-0"));
    const mine = lock((holder) => holder === "podid-0");
    await mine.refresh(signal);
    expect(mine.remainingMs()).toBe(DURATION_MS);
  });

  test("held, it is renewed, and runs out where it cannot be", async () => {
    await store(upstream(""));
    const mine = lock();
    await mine.refresh(signal);
    const first = await stored();
    clock.advance(5_000);
    expect(mine.remainingMs()).toBe(10_000);
    await mine.refresh(signal);
    expect(mine.remainingMs()).toBe(DURATION_MS);
    const second = await stored();
    expect([second?.acquireTime, second?.leaderTransitions]).toEqual([first?.acquireTime, first?.leaderTransitions]);
    expect(second?.renewTime).not.toBe(first?.renewTime);
    cluster.emulator.faults.add({ resource: "endpoints", status: 500 });
    await mine.refresh(signal);
    clock.advance(DURATION_MS);
    expect(mine.remainingMs()).toBe(0);
  });

  test("a machine that was suspended holds nothing", async () => {
    await store(upstream(""));
    const mine = lock();
    await mine.refresh(signal);
    clock.step(DURATION_MS);
    expect(mine.remainingMs()).toBe(0);
  });

  test("taken by somebody else, it is lost", async () => {
    await store(upstream(""));
    const mine = lock();
    await mine.refresh(signal);
    await store(upstream("mic-old"));
    await mine.refresh(signal);
    expect([mine.remainingMs(), mine.waitingFor]).toEqual([0, "mic-old"]);
    await mine.release();
    expect(await stored()).toMatchObject({ holderIdentity: "mic-old" });
  });

  test("released, it is free for everybody at once", async () => {
    await store(upstream(""));
    const mine = lock();
    await mine.refresh(signal);
    await mine.release();
    expect(await stored()).toMatchObject({ holderIdentity: "", leaderTransitions: 4 });
    expect(mine.remainingMs()).toBe(0);
  });

  test("who may not look is told once, and works", async () => {
    cluster.emulator.faults.add({ resource: "endpoints", status: 403 });
    const mine = lock();
    await mine.refresh(signal);
    await mine.refresh(signal);
    expect(mine.remainingMs()).toBe(Infinity);
    expect(log.filter((line) => line.includes("may not look for aad-pod-identity's lock"))).toHaveLength(1);
  });
});
