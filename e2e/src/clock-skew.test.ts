import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster } from "./cluster.ts";
import { until } from "./until.ts";

/** Clocks that disagree by minutes: the Lease lasts 15 s, so whoever trusted another's clock would always or never lead. */
const MINUTES = 60_000;
const VM = "aks-vm-0";
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start([], {
    NODE_OPTIONS: `--import=${join(import.meta.dirname, "../programs/skewed-clock.mjs")}`,
    PODID_E2E_SKEW: JSON.stringify({ "mic-0": 10 * MINUTES, "mic-1": -10 * MINUTES, [VM]: 7 * MINUTES }),
  });
});

afterAll(async () => {
  await cluster?.stop();
});

async function transitions(): Promise<number> {
  const lease = (await cluster.leases.get("aad-pod-identity-mic", "kube-system")) as {
    spec?: { leaseTransitions?: number };
  };
  return lease.spec?.leaseTransitions ?? 0;
}

test("the processes' clocks are off, as wanted", async () => {
  const minutes = async (name: string): Promise<number> => {
    const [, hour, minute] = /^[A-Z]\d{4} (\d\d):(\d\d):/m.exec(await cluster.control.processLog(name)) ?? [];
    const now = new Date();
    const apart = Number(hour) * 60 + Number(minute) - (now.getUTCHours() * 60 + now.getUTCMinutes());
    return ((apart + 36 * 60) % (24 * 60)) - 12 * 60;
  };
  expect(await minutes("mic-0")).toBeGreaterThan(7);
  expect(await minutes("mic-1")).toBeLessThan(-7);
  expect(await minutes(`nmi-${VM}`)).toBeGreaterThan(4);
});

test("one replica leads and goes on leading, whatever the other's clock says", async () => {
  const leader = await cluster.leader();
  const before = await transitions();
  await cluster.identity("skewed", { selector: "skewed" });
  await cluster.pod("skewed", { selector: "skewed", node: cluster.vm });
  await cluster.untilAssigned("skewed", ["skewed"]);
  // Several renewals later.
  const renewed = async (): Promise<unknown> =>
    ((await cluster.leases.get("aad-pod-identity-mic", "kube-system")) as { spec?: { renewTime?: string } }).spec
      ?.renewTime;
  for (let round = 0; round < 3; round++) {
    const last = await renewed();
    await until("the Lease is renewed", async () => (await renewed()) !== last);
  }
  expect(await cluster.leader()).toBe(leader);
  expect(await transitions()).toBe(before);
});

test("a token's remaining life is right for whoever has the right time", async () => {
  const answer = await cluster.token("skewed");
  expect(cluster.whose(answer)).toBe("skewed");
  const left = Number(answer.body["expires_on"]) - Date.now() / 1000;
  expect(left).toBeGreaterThan(60 * 60);
  expect(Number(answer.body["expires_in"])).toBeGreaterThan(0);
});

test("the other takes over when the leader is killed, in the Lease's time and not the clocks'", async () => {
  const leader = await cluster.leader();
  await cluster.control.process(leader, "stop");
  await cluster.pod("successor", { selector: "skewed", node: cluster.instance });
  await cluster.untilAssigned("successor", ["skewed"]);
  expect(await transitions()).toBeGreaterThan(0);
  expect(cluster.whose(await cluster.token("successor"))).toBe("skewed");
  await cluster.control.process(leader, "start");
  expect(await cluster.rawRequests()).toEqual([]);
});
