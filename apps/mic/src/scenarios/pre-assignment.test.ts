import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId, vmssProviderId } from "../../test/cluster.ts";
import { Harness } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;
const POOL_1 = vmssProviderId("pool1", 0);
const POOL_2 = vmssProviderId("pool2", 0);
const MACHINE = vmProviderId("machine");
const statusTiming = { settleMs: 10, intervalMs: 50, sweepMs: 3_600_000 };

beforeEach(async () => {
  h = await Harness.start();
  for (const [name, providerID, labels] of [
    ["one", POOL_1, { "kubernetes.azure.com/agentpool": "pool1" }],
    ["two", POOL_2, { agentpool: "pool2" }],
    ["three", MACHINE, {}],
  ] as const)
    await h.cluster.create("node", { metadata: { name, labels: { ...labels } }, spec: { providerID } });
  await h.cluster.identity("id", { resourceID: resourceId("id") });
});
afterEach(() => h.close());

const annotations = (pools: string | null): object => ({ annotations: { "podid.dev/pre-assign": pools } });

async function holding(want: Readonly<Record<string, boolean>>): Promise<void> {
  await until(() => {
    const held = { one: h.held(POOL_1), two: h.held(POOL_2), three: h.held(MACHINE) };
    expect(Object.fromEntries(Object.entries(held).map(([node, names]) => [node, names.includes("id")]))).toEqual(want);
  });
}

async function preAssigned(want: string): Promise<void> {
  await until(async () => {
    const { conditions = [] } = ((await h.cluster.find("binding", "b"))?.["status"] ?? {}) as {
      conditions?: { type: string; status: string; reason: string }[];
    };
    const found = conditions.find(({ type }) => type === "PreAssigned");
    expect(found && `${found.status} ${found.reason}`).toBe(want);
  });
}

describe("held before any pod needs it", () => {
  test.for([
    { pools: "pool1", want: { one: true, two: false, three: false } },
    { pools: "pool2, pool1", want: { one: true, two: true, three: false } },
    { pools: "*", want: { one: true, two: true, three: true } },
  ])("by the nodes of $pools", async ({ pools, want }) => {
    await h.cluster.binding("b", "id", "sel", annotations(pools));
    h.start({ statusTiming });
    await holding(want);
    await preAssigned("True Assigned");
    expect(await h.cluster.assigned()).toEqual([]);
  });

  test("its first pod waits for no request to ARM, and its last one takes nothing away", async () => {
    await h.cluster.binding("b", "id", "sel", annotations("pool1"));
    h.start({ statusTiming, trustMs: 1 });
    await holding({ one: true, two: false, three: false });
    await preAssigned("True Assigned");
    h.arm.beforePatch = () => new Promise<void>(() => {});
    await h.cluster.pod("pod", "one", "sel");
    await h.becomes({ "pod-default-id": "Assigned" });
    expect(h.arm.patches).toHaveLength(1);
    await h.cluster.delete("pod", "pod");
    await h.becomes({});
    expect([h.arm.patches.length, h.held(POOL_1)]).toEqual([1, ["id"]]);
  });

  test("ends with the annotation, unless a pod needs it", async () => {
    await h.cluster.binding("b", "id", "sel", annotations("*"));
    await h.cluster.pod("pod", "two", "sel");
    h.start({ statusTiming });
    await holding({ one: true, two: true, three: true });
    await h.cluster.merge("binding", "b", { metadata: annotations(null) });
    await holding({ one: false, two: true, three: false });
    await h.becomes({ "pod-default-id": "Assigned" });
  });

  test("is taken up by a node that comes or changes its pool, and survives another leader", async () => {
    await h.cluster.binding("b", "id", "sel", annotations("late"));
    const first = h.start({ statusTiming });
    await preAssigned("False NoSuchNodePool");
    await h.cluster.merge("node", "three", { metadata: { labels: { agentpool: "late" } } });
    await holding({ one: false, two: false, three: true });
    await preAssigned("True Assigned");
    await h.stop(first);
    await h.cluster.merge("node", "one", { metadata: { labels: { "kubernetes.azure.com/agentpool": "late" } } });
    h.start({ statusTiming });
    await holding({ one: true, two: false, three: true });
  });

  test("an identity that cannot be attached is not; one that is put right is", async () => {
    await h.cluster.identity("bad", { resourceID: "nonsense" });
    await h.cluster.binding("b", "bad", "sel", annotations("pool1"));
    h.start({ statusTiming });
    await preAssigned("False InvalidResourceID");
    await h.cluster.merge("identity", "bad", { spec: { resourceID: resourceId("id") } });
    await holding({ one: true, two: false, three: false });
    await h.cluster.delete("identity", "bad");
    await holding({ one: false, two: false, three: false });
    await preAssigned("False AzureIdentityMissing");
  });

  test("in namespaced mode as well", async () => {
    await h.cluster.binding("b", "id", "sel", annotations("pool1"));
    h.start({ statusTiming, forceNamespaced: true });
    await holding({ one: true, two: false, three: false });
  });
});

describe("the delay before detaching", () => {
  async function usedAndLeft(settings: object): Promise<void> {
    await h.cluster.binding("b", "id", "sel");
    await h.cluster.pod("pod", "one", "sel");
    h.start({ statusTiming, ...settings });
    await h.becomes({ "pod-default-id": "Assigned" });
    await h.cluster.delete("pod", "pod");
    await h.becomes({});
  }

  test("leaves the identity for the next pod, which waits for nothing", async () => {
    await usedAndLeft({ detachDelayMs: 3_600_000 });
    await h.cluster.pod("pod", "one", "sel");
    await h.becomes({ "pod-default-id": "Assigned" });
    expect([h.arm.patches.length, h.held(POOL_1)]).toEqual([1, ["id"]]);
  });

  test("ends", async () => {
    await usedAndLeft({ detachDelayMs: 300 });
    expect(h.held(POOL_1)).toEqual(["id"]);
    await holding({ one: false, two: false, three: false });
  });

  test("does not hold what no AzureIdentity stands for", async () => {
    await usedAndLeft({ detachDelayMs: 3_600_000 });
    expect(h.held(POOL_1)).toEqual(["id"]);
    await h.cluster.delete("identity", "id");
    await holding({ one: false, two: false, three: false });
  });

  test("begins anew with another leader", async () => {
    await h.cluster.binding("b", "id", "sel");
    await h.cluster.pod("pod", "one", "sel");
    const first = h.start();
    await h.becomes({ "pod-default-id": "Assigned" });
    await h.stop(first);
    await h.cluster.delete("pod", "pod");
    h.start({ detachDelayMs: 600 });
    await h.becomes({});
    expect(h.held(POOL_1)).toEqual(["id"]);
    await holding({ one: false, two: false, three: false });
  });
});
