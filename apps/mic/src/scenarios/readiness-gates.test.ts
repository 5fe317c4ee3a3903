import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId } from "../../test/cluster.ts";
import { Harness } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;
const GATE = "podid.dev/identity-assigned";

beforeEach(async () => {
  h = await Harness.start();
  await h.cluster.node("node", vmProviderId("node"));
  for (const name of ["a", "b"]) {
    await h.cluster.identity(name, { resourceID: resourceId(name) });
    await h.cluster.binding(name, name, name);
  }
});
afterEach(() => h.close());

async function gatedPod(name: string, label: string, more: object = {}): Promise<void> {
  await h.cluster.create("pod", {
    metadata: { name, namespace: "default", labels: { aadpodidbinding: label } },
    spec: {
      nodeName: "node",
      readinessGates: [{ conditionType: GATE }],
      containers: [{ name: "main", image: "busybox" }],
      ...more,
    },
  });
}

interface PodCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

async function conditions(name: string): Promise<readonly PodCondition[]> {
  const pod = await h.cluster.find("pod", name);
  return ((pod?.["status"] as { conditions?: PodCondition[] } | undefined)?.conditions ?? []).filter(
    ({ type }) => type === GATE || type === "Ready",
  );
}

async function becomes(name: string, want: string | undefined): Promise<void> {
  await until(async () => {
    const found = (await conditions(name)).find(({ type }) => type === GATE);
    expect(found && `${found.status} ${found.reason}`).toBe(want);
  });
}

describe("readiness gate", () => {
  test("is false while ARM works and true when the identity is assigned; the conditions of others stay", async () => {
    let release = (): void => {};
    h.arm.beforePatch = () => new Promise<void>((resolve) => (release = resolve));
    await gatedPod("pod", "a");
    const others = [{ type: "Ready", status: "False", reason: "ReadinessGatesNotReady" }];
    await h.cluster.patchStatus("pod", "pod", { phase: "Running", conditions: others });
    h.start();
    await becomes("pod", "False Assigning");
    await until(() => expect(h.arm.patches).toHaveLength(1));
    release();
    await becomes("pod", "True Assigned");
    expect((await conditions("pod")).map(({ type }) => type).sort()).toEqual(["Ready", GATE]);
    expect((await conditions("pod")).find(({ type }) => type === GATE)?.lastTransitionTime).toMatch(/Z$/);
  });

  test("pods that declare none are left alone", async () => {
    await h.cluster.pod("pod", "node", "a");
    h.start();
    await h.becomes({ "pod-default-a": "Assigned" });
    await gatedPod("marker", "a");
    await becomes("marker", "True Assigned");
    expect(await conditions("pod")).toEqual([]);
  });

  test.for([
    {
      name: "a service principal",
      spec: { type: 1, clientID: "c", tenantID: "t", clientPassword: { name: "s", namespace: "default" } },
    },
    { name: "a federated identity", spec: { type: 3, clientID: "c", tenantID: "t" } },
  ])("is true at once for $name", async ({ spec }) => {
    await h.cluster.identity("other", { ...spec, resourceID: undefined });
    await h.cluster.binding("other", "other", "other");
    await gatedPod("pod", "other");
    h.start();
    await becomes("pod", "True Assigned");
    expect(h.arm.patches).toEqual([]);
  });

  test("follows a label that changes, goes and comes back", async () => {
    await gatedPod("pod", "a");
    h.start();
    await becomes("pod", "True Assigned");
    let release = (): void => {};
    h.arm.beforePatch = () => new Promise<void>((resolve) => (release = resolve));
    await h.cluster.merge("pod", "pod", { metadata: { labels: { aadpodidbinding: "b" } } });
    await becomes("pod", "False Assigning");
    await until(() => expect(h.arm.patches.length).toBeGreaterThan(1));
    h.arm.beforePatch = undefined;
    release();
    await becomes("pod", "True Assigned");
    await h.cluster.merge("pod", "pod", { metadata: { labels: { aadpodidbinding: null } } });
    await becomes("pod", "False NotLabelled");
    await h.cluster.merge("pod", "pod", { metadata: { labels: { aadpodidbinding: "a" } } });
    await becomes("pod", "True Assigned");
  });

  test("a pod that is given nothing says why, and a binding that comes later changes that", async () => {
    await gatedPod("pod", "c");
    await gatedPod("on-host", "a", { hostNetwork: true });
    h.start();
    await becomes("pod", "False NoBinding");
    await becomes("on-host", "False HostNetwork");
    await h.cluster.binding("c", "a", "c");
    await becomes("pod", "True Assigned");
  });

  test("every identity counts, and a refusal is told with ARM's words", async () => {
    h.arm.known = new Set([resourceId("a").toLowerCase()]);
    await h.cluster.binding("too", "b", "a");
    await gatedPod("pod", "a");
    h.start();
    await becomes("pod", "False RefusedByAzure");
    const found = (await conditions("pod")).find(({ type }) => type === GATE);
    expect(found?.message).toMatch(/^1 of 2 identities are assigned: FailedIdentityOperation/);
  });

  test("another leader changes nothing that is right, and repairs what is not", async () => {
    await gatedPod("pod", "a");
    const first = h.start();
    await becomes("pod", "True Assigned");
    await h.stop(first);
    await h.cluster.patchStatus("pod", "pod", { conditions: [{ type: GATE, status: "False" }] });
    h.start();
    await becomes("pod", "True Assigned");
  });
});
