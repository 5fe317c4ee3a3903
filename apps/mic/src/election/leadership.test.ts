import { ResourceClient, RESOURCES } from "@podid/kube";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Harness, SIMPLE } from "../../test/harness.ts";
import type { RunningMic } from "../../test/run-mic.ts";
import { until } from "../../test/until.ts";
import { readRecord, RECORD_ANNOTATION } from "./leader-record.ts";

const NAME = "aad-pod-identity-mic";
let h: Harness;
let endpoints: ResourceClient;
let instances: number;

beforeEach(async () => {
  h = await Harness.start();
  endpoints = new ResourceClient(h.cluster.transport, RESOURCES.endpoints);
  instances = 0;
});
afterEach(() => h.close());

function start(): RunningMic {
  instances += 1;
  return h.start({
    lease: {
      namespace: "podid",
      name: NAME,
      identity: `podid-${instances}`,
      durationMs: 30_000,
      upstreamNamespace: "default",
    },
  });
}

async function store(holderIdentity: string): Promise<void> {
  const record = { holderIdentity, leaseDurationSeconds: 3, renewTime: new Date().toISOString() };
  const annotations = { [RECORD_ANNOTATION]: JSON.stringify(record) };
  const before = await endpoints.get(NAME, "default").catch(() => undefined);
  if (before === undefined) await endpoints.create({ metadata: { name: NAME, namespace: "default", annotations } });
  else await endpoints.update({ ...before, metadata: { ...before.metadata, annotations } });
}

async function holder(): Promise<string | undefined> {
  return readRecord(await endpoints.get(NAME, "default"))?.holderIdentity;
}

describe("next to aad-pod-identity's MIC", () => {
  test("podid does nothing while it leads, takes over when it is gone, and holds both locks", async () => {
    await store("mic-old");
    const old = { renews: true };
    const renewals = (async () => {
      while (old.renews) {
        await store("mic-old");
        await new Promise((resolve) => {
          setTimeout(resolve, 100);
        });
      }
    })();
    await h.simple();
    const { mic, log } = start();
    await until(() => expect(log.join("")).toContain("aad-pod-identity's MIC mic-old leads"));
    expect([mic.healthz(), mic.ready["caches"]?.(), await h.cluster.statuses()]).toEqual(["Not Active", undefined, {}]);
    old.renews = false;
    await renewals;
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect([await holder(), mic.healthz()]).toEqual(["podid-1", "Active"]);
  });

  test("S31 the lock goes from one podid to the next with the Lease, and is released with it", async () => {
    await store("");
    const first = start();
    await until(() => expect(first.mic.isActive).toBe(true));
    const second = start();
    expect(await holder()).toBe("podid-1");
    await h.stop(first);
    await until(() => expect(second.mic.isActive).toBe(true));
    expect(await holder()).toBe("podid-2");
    await h.stop(second);
    expect(await holder()).toBe("");
  });

  test("an old MIC that takes the lock by force stops podid's leader, which writes nothing until it is gone", async () => {
    await store("");
    const { mic, log } = start();
    await until(() => expect(mic.isActive).toBe(true));
    await store("mic-old");
    await until(() => expect(mic.isActive).toBe(false));
    expect(log.join("")).toContain("lost leader lease");
    await store("");
    await until(() => expect(mic.isActive).toBe(true));
  });

  test("without its lock none is made", async () => {
    await h.simple();
    start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect((await endpoints.list()).items).toEqual([]);
  });
});
