import { expect, test } from "vitest";
import { SYSTEM_NAMESPACE } from "../rights-cluster.ts";
import { instance, vm } from "./fixtures.ts";
import type { MicProcess } from "./mic-process.ts";
import type { MicCluster } from "./mic-cluster.ts";
import { onKubeServers } from "./on-kube-servers.ts";

const SIMPLE = "test-pod-default-test-id";
/** Pods of S26: upstream's number takes minutes. */
const MANY = process.env["PODID_LONG"] === "1" ? 20_000 : 1000;

/** MIC starts, stops, dies and takes turns. */
onKubeServers((cluster) => {
  test("S16 Swap on a node, controller restarted between", async () => {
    const c = cluster();
    const node = vm("test-node2");
    await c.node("test-node2", node);
    for (const n of [2, 3, 4]) {
      await c.identity(`test-id${n}`, { azure: `identity${n}` });
      await c.binding(`testbinding${n}`, `test-id${n}`, `test-select${n}`);
    }
    await c.pod("test-pod2", "test-node2", "test-select2");
    await c.pod("test-pod4", "test-node2", "test-select4");
    const first = await c.mic();
    await c.becomes({ "test-pod2-default-test-id2": "Assigned", "test-pod4-default-test-id4": "Assigned" });
    first.kill("SIGTERM");
    expect(await first.exited).toBe(0);
    await c.delete("pods", "test-pod2");
    await c.delete("pods", "test-pod4");
    await c.pod("test-pod3", "test-node2", "test-select3");
    await c.mic();
    await c.becomes({ "test-pod3-default-test-id3": "Assigned" });
    await c.eventually(() => expect(c.held(node)).toEqual(["identity3"]));
  });

  test("S18 Periodic retry", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    await c.simple();
    await c.mic(["--syncRetryDuration=5s"]);
    await c.becomes({ [SIMPLE]: "Assigned" });
    const before = c.patches.length;
    const fault = c.azure.state.faults.add({
      match: { service: "arm", method: "PATCH" },
      respond: { status: 500, body: { error: { code: "InternalExecutionError", message: "once" } } },
    });
    await c.delete("pods", "test-pod");
    // Unassigned from before the first attempt on, because NMI must not serve what may be gone; upstream keeps Assigned.
    await c.becomes({ [SIMPLE]: "Unassigned" });
    await c.eventually(() => expect(c.patches.length).toBeGreaterThan(before));
    expect(c.held(vm("test-node"))).toEqual(["identity1"]);
    c.azure.state.faults.remove(fault);
    await c.becomes({}, 10_000);
    expect(c.held(vm("test-node"))).toEqual([]);
  });

  test(`S26 20 000 pods: ${MANY} here`, { timeout: 3_600_000 }, async () => {
    const c = cluster();
    await c.node("node", vm("node"));
    await c.identity("test-id");
    await c.binding("testbinding", "test-id", "sel");
    const names = Array.from({ length: MANY }, (_, n) => `pod-${n}`);
    await eachOf(names, (name) => c.pod(name, "node", "sel"));
    const mic = await c.mic(["--createDeleteBatch=4"]);
    // What a busy machine takes; a quiet one is done in a third of it.
    const patience = 60_000 + MANY * 60;
    await c.eventually(async () => expect(await count(c)).toEqual({ Assigned: MANY }), patience, 500);
    // The API server gets 25 of the events: more of one object at once are dropped, as client-go does it.
    expect(mic.messages.filter((line) => line.includes("has successfully been assigned to node"))).toHaveLength(MANY);
    await c.eventually(async () =>
      expect((await c.events()).filter((event) => event.startsWith("Normal binding applied"))).toHaveLength(25),
    );
    await eachOf(names.slice(MANY / 2), (name) => c.delete("pods", name));
    await c.eventually(async () => expect(await count(c)).toEqual({ Assigned: MANY / 2 }), patience, 500);
    expect(c.held(vm("node"))).toEqual(["test-id"]);
    expect(c.patches).toHaveLength(1);
  });

  test("S27 Clean stop", async () => {
    const c = cluster();
    const mic = await c.mic();
    const start = performance.now();
    mic.kill("SIGTERM");
    expect(await mic.exited).toBe(0);
    expect(performance.now() - start).toBeLessThan(30_000);
    expect(await c.find("leases", "aad-pod-identity-mic", SYSTEM_NAMESPACE)).toMatchObject({
      spec: { holderIdentity: "" },
    });
  });

  test("S27 Clean stop: in the middle of a PATCH, and before it leads", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    await c.simple();
    c.azure.state.faults.add({ match: { service: "arm", method: "PATCH" }, hang: true });
    const mic = await c.mic();
    const standby = c.startMic();
    await c.eventually(async () => expect(await standby.readyz()).toContain("ok"));
    await c.eventually(() => expect(c.patches).toHaveLength(1));
    for (const each of [standby, mic]) {
      const start = performance.now();
      each.kill("SIGTERM");
      expect(await each.exited).toBe(0);
      expect(performance.now() - start).toBeLessThan(30_000);
    }
  });

  // A leader that leaves politely keeps nobody waiting, however long the Lease lasts.
  test.for([
    { signal: "SIGTERM", leaseSeconds: 15, withinMs: 10_000 },
    { signal: "SIGKILL", leaseSeconds: 4, withinMs: 10_000 },
  ] as const)("S31 Leader lost: by $signal", async ({ signal, leaseSeconds, withinMs }) => {
    const c = cluster();
    const flags = [`--leader-election-duration=${leaseSeconds}s`];
    await c.node("test-node", instance("vmss", 0));
    const both = [
      c.startMic([...flags, "--custom-user-agent=mic-a"]),
      c.startMic([...flags, "--custom-user-agent=mic-b"]),
    ];
    const { leader, others } = await leaderOf(c, both);
    expect(await Promise.all(both.map((mic) => mic.readyz()))).toEqual([
      expect.stringContaining("ok"),
      expect.stringContaining("ok"),
    ]);
    const lost = performance.now();
    leader.kill(signal);
    await c.simple();
    await c.becomes({ [SIMPLE]: "Assigned" });
    expect(performance.now() - lost).toBeLessThan(withinMs);
    expect(await others[0]?.healthz()).toBe("Active");
    expect(c.held(instance("vmss", 0))).toEqual(["identity1"]);
    expect(c.patches).toHaveLength(1);
    await leader.exited;
  });

  test("S31 Leader lost: exactly one leads at a time", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    const all = [0, 1, 2].map((n) => c.startMic([`--custom-user-agent=mic-${n}`]));
    const living = new Set(all);
    for (let round = 0; round < 2; round += 1) {
      const { leader, others } = await leaderOf(c, [...living]);
      await c.identity(`id-${round}`);
      await c.binding(`id-${round}`, `id-${round}`, `sel-${round}`);
      await c.pod(`pod-${round}`, "test-node", `sel-${round}`);
      await c.eventually(async () =>
        expect(await c.statuses()).toMatchObject({ [`pod-${round}-default-id-${round}`]: "Assigned" }),
      );
      for (const other of others) expect(await other.healthz()).toBe("Not Active");
      leader.kill("SIGTERM");
      await leader.exited;
      living.delete(leader);
    }
    // Each wrote in its own time, one after the other.
    const writers = (await c.micWrites()).map(({ userAgent }) => /mic-\d/.exec(userAgent)?.[0]);
    const turns = writers.filter((writer, at) => writer !== writers[at - 1]);
    expect(new Set(turns).size).toBe(turns.length);
  });
});

/** Waits until one leads and all are ready to. */
async function leaderOf(
  c: MicCluster,
  mics: readonly MicProcess[],
): Promise<{ readonly leader: MicProcess; readonly others: readonly MicProcess[] }> {
  let found: MicProcess | undefined;
  await c.eventually(async () => {
    const states = await Promise.all(mics.map((mic) => mic.healthz()));
    expect(states.filter((state) => state === "Active")).toHaveLength(1);
    for (const mic of mics) expect(await mic.readyz()).toContain("ok");
    found = mics[states.indexOf("Active")];
  });
  if (found === undefined) throw new Error("nobody leads");
  return { leader: found, others: mics.filter((mic) => mic !== found) };
}

async function count(c: MicCluster): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status } of await c.assigned()) {
    const key = status?.status ?? "";
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}
