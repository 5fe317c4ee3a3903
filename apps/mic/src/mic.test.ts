import { MemoryArm } from "@podid/azure-assigner/testing";
import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { KubeTransport } from "@podid/kube";
import { Cluster, resourceId, vmProviderId, vmssProviderId } from "./testing/cluster.ts";
import { runMic } from "./testing/run-mic.ts";
import type { RunningMic } from "./testing/run-mic.ts";
import type { MicSettings } from "./mic.ts";
import { until } from "./testing/until.ts";

let cluster: Cluster;
let arm: MemoryArm;
const running: { mic: RunningMic; transport: KubeTransport }[] = [];

beforeEach(async () => {
  cluster = await Cluster.start();
  arm = new MemoryArm();
});

afterEach(async () => {
  for (const { mic, transport } of running.splice(0)) {
    await mic.mic.stop();
    await transport.close();
  }
  await cluster.close();
});

function start(settings: Partial<MicSettings> = {}): RunningMic {
  const transport = cluster.newTransport();
  const mic = runMic(transport, arm, settings);
  running.push({ mic, transport });
  return mic;
}

async function stop({ mic }: RunningMic): Promise<void> {
  await mic.stop();
}

function group(providerId: string): NodeGroup {
  const parsed = parseProviderId(providerId);
  if (!parsed.ok) throw new Error("fixture");
  return parsed.value.group;
}

function held(providerId: string): string[] {
  return [...arm.machine(group(providerId)).identities.keys()].map((key) => key.slice(key.lastIndexOf("/") + 1)).sort();
}

async function becomes(want: Record<string, string>): Promise<void> {
  await until(async () => expect(await cluster.statuses()).toEqual(want));
}

async function simple(): Promise<void> {
  await cluster.node("test-node", vmProviderId("test-node"));
  await cluster.identity("test-id", { clientID: "test-user-msi-clientid", resourceID: resourceId("identity1") });
  await cluster.binding("testbinding", "test-id", "test-select");
  await cluster.pod("test-pod", "test-node", "test-select");
}

const NAME = "test-pod-default-test-id";

describe("one pod", () => {
  test("S10 Assign", async () => {
    await simple();
    start();
    await becomes({ [NAME]: "Assigned" });
    const [assigned] = await cluster.assigned();
    const pod = await cluster.find("pod", "test-pod");
    expect(assigned).toMatchObject({
      metadata: {
        namespace: "default",
        labels: { nodename: "test-node" },
        annotations: { "podid.dev/pod-uid": pod?.metadata.uid },
        finalizers: ["azureassignedidentity.finalizers.aadpodidentity.k8s.io"],
      },
      spec: {
        pod: "test-pod",
        podNamespace: "default",
        nodename: "test-node",
        azureIdentityRef: { metadata: { name: "test-id" }, spec: { clientID: "test-user-msi-clientid" } },
        azureBindingRef: { metadata: { name: "testbinding" }, spec: { selector: "test-select" } },
      },
      status: { status: "Assigned", availableReplicas: 1 },
    });
    expect(held(vmProviderId("test-node"))).toEqual(["identity1"]);
    await until(async () =>
      expect(await cluster.events()).toContain(
        "Normal binding applied: Binding testbinding applied on node test-node for pod test-pod-default-test-id",
      ),
    );
    const writes = cluster.emulator.audit.entries.filter(
      ({ resource, verb }) =>
        resource === "azureassignedidentities" && ["create", "update", "patch", "delete"].includes(verb),
    );
    expect(writes.map(({ verb }) => verb)).toEqual(["create", "patch"]);
  });

  test("S11 Pod deleted", async () => {
    await simple();
    start();
    await becomes({ [NAME]: "Assigned" });
    await cluster.delete("pod", "test-pod");
    await becomes({});
    expect(arm.machine(group(vmProviderId("test-node")))).toMatchObject({ type: "None", identities: new Map() });
  });

  test("S12 ARM error on assign", async () => {
    await simple();
    arm.failNext("patch", {
      kind: "unavailable",
      status: 500,
      code: "InternalError",
      message: "error returned from cloud provider",
    });
    arm.beforePatch = () => new Promise<void>(() => {});
    start();
    await until(async () => {
      const events = await cluster.events();
      expect(events.join("\n")).toContain(
        "Warning binding apply error: failed to apply binding default/testbinding node test-node for pod default/test-pod, error: ",
      );
      expect(events.join("\n")).toContain("error returned from cloud provider");
    });
    expect(await cluster.statuses()).toEqual({ [NAME]: "Created" });
  });

  test("S13 Identity edited", async () => {
    await simple();
    start();
    await becomes({ [NAME]: "Assigned" });
    const changed = await cluster.merge("identity", "test-id", { spec: { resourceID: resourceId("identity1-new") } });
    await cluster.identity("test-id-2", { resourceID: resourceId("identity1") });
    await cluster.binding("testbinding2", "test-id-2", "test-select");
    await becomes({ [NAME]: "Assigned", "test-pod-default-test-id-2": "Assigned" });
    await until(async () =>
      expect((await cluster.find("assigned", NAME))?.["spec"]).toMatchObject({
        azureIdentityRef: {
          metadata: { resourceVersion: changed.metadata.resourceVersion },
          spec: { resourceID: resourceId("identity1-new") },
        },
      }),
    );
    await until(() => expect(held(vmProviderId("test-node"))).toEqual(["identity1", "identity1-new"]));
  });

  test.for([
    { kind: "binding", name: "testbinding" },
    { kind: "identity", name: "test-id" },
  ] as const)("S22 $kind deleted", async ({ kind, name }) => {
    await simple();
    start();
    await becomes({ [NAME]: "Assigned" });
    await cluster.delete(kind, name);
    await becomes({});
    expect(held(vmProviderId("test-node"))).toEqual([]);
  });

  test("S23 Label change", async () => {
    await cluster.node("node", vmProviderId("node"));
    for (const n of [0, 1]) {
      await cluster.identity(`id-${n}`, { resourceID: resourceId(`identity-${n}`) });
      await cluster.binding(`binding-${n}`, `id-${n}`, `selector-${n}`);
    }
    await cluster.pod("pod", "node", "selector-0");
    start();
    await becomes({ "pod-default-id-0": "Assigned" });
    await cluster.merge("pod", "pod", { metadata: { labels: { aadpodidbinding: "selector-1" } } });
    await becomes({ "pod-default-id-1": "Assigned" });
    expect(held(vmProviderId("node"))).toEqual(["identity-1"]);
  });

  test("S29 Service principal AAI", async () => {
    await cluster.node("node", vmProviderId("node"));
    await cluster.identity("sp", {
      type: 1,
      tenantID: "t",
      clientID: "c",
      clientPassword: { name: "s", namespace: "default" },
    });
    await cluster.identity("federated", { type: 3, tenantID: "t", clientID: "c" });
    await cluster.binding("b1", "sp", "sel");
    await cluster.binding("b2", "federated", "sel");
    await cluster.pod("pod", "node", "sel");
    start();
    await becomes({ "pod-default-sp": "Assigned", "pod-default-federated": "Assigned" });
    expect([arm.reads, arm.patches.length]).toEqual([0, 0]);
  });

  test("L-51 annotating identity or binding changes nothing", async () => {
    await simple();
    start();
    await becomes({ [NAME]: "Assigned" });
    const before = await cluster.find("assigned", NAME);
    await cluster.merge("identity", "test-id", { metadata: { annotations: { note: "x" } } });
    await cluster.merge("binding", "testbinding", { metadata: { annotations: { note: "x" } } });
    // What comes later in the same watches has been worked off, so the annotations have been as well.
    await cluster.identity("later", { resourceID: resourceId("identity1") });
    await cluster.binding("later", "later", "test-select");
    await becomes({ [NAME]: "Assigned", "test-pod-default-later": "Assigned" });
    expect(await cluster.find("assigned", NAME)).toEqual(before);
    expect(arm.patches).toHaveLength(1);
  });

  test("an object deleted by hand goes at once and comes back while the pod lives", async () => {
    await simple();
    start();
    await becomes({ [NAME]: "Assigned" });
    const before = await cluster.find("assigned", NAME);
    await cluster.delete("assigned", NAME);
    await until(async () => {
      const now = await cluster.find("assigned", NAME);
      expect(now?.metadata.uid).toBeDefined();
      expect(now?.metadata.uid).not.toBe(before?.metadata.uid);
      expect(now?.["status"]).toMatchObject({ status: "Assigned" });
    });
    expect(arm.patches).toHaveLength(1);
  });

  test("a pod made again under its old name gets an object of its own with the same name", async () => {
    await simple();
    start();
    await becomes({ [NAME]: "Assigned" });
    await cluster.delete("pod", "test-pod");
    const pod = await cluster.pod("test-pod", "test-node", "test-select");
    await until(async () =>
      expect(await cluster.find("assigned", NAME)).toMatchObject({
        metadata: { annotations: { "podid.dev/pod-uid": pod.metadata.uid } },
        status: { status: "Assigned" },
      }),
    );
    expect(Object.keys(await cluster.statuses())).toEqual([NAME]);
  });
});

describe("several pods and machines", () => {
  test("S16 Swap on a node, controller restarted between", async () => {
    await cluster.node("test-node2", vmProviderId("test-node2"));
    for (const n of [2, 3, 4]) {
      await cluster.identity(`test-id${n}`, { resourceID: resourceId(`identity${n}`) });
      await cluster.binding(`testbinding${n}`, `test-id${n}`, `test-select${n}`);
    }
    await cluster.pod("test-pod2", "test-node2", "test-select2");
    await cluster.pod("test-pod4", "test-node2", "test-select4");
    const first = start();
    await becomes({ "test-pod2-default-test-id2": "Assigned", "test-pod4-default-test-id4": "Assigned" });
    await stop(first);
    await cluster.delete("pod", "test-pod2");
    await cluster.delete("pod", "test-pod4");
    await cluster.pod("test-pod3", "test-node2", "test-select3");
    start();
    await becomes({ "test-pod3-default-test-id3": "Assigned" });
    expect(held(vmProviderId("test-node2"))).toEqual(["identity3"]);
  });

  async function threeScaleSetNodes(): Promise<void> {
    await cluster.node("test-node1", vmssProviderId("testvmss1", 0));
    await cluster.node("test-node2", vmssProviderId("testvmss1", 1));
    await cluster.node("test-node3", vmssProviderId("testvmss2", 0));
    await cluster.identity("test-id", { clientID: "test-user-msi-clientid", resourceID: resourceId("identity1") });
    await cluster.binding("testbinding", "test-id", "test-select");
    for (const n of [1, 2, 3]) await cluster.pod(`test-pod${n}`, `test-node${n}`, "test-select");
  }
  const assigned = (...pods: readonly number[]): Record<string, string> =>
    Object.fromEntries(pods.map((n) => [`test-pod${n}-default-test-id`, "Assigned"]));

  test("S32 Shared identity on VMSS", async () => {
    await threeScaleSetNodes();
    start();
    await becomes(assigned(1, 2, 3));
    const [one, two] = [vmssProviderId("testvmss1", 0), vmssProviderId("testvmss2", 0)];
    expect([held(one), held(two)]).toEqual([["identity1"], ["identity1"]]);
    await cluster.delete("pod", "test-pod1");
    await becomes(assigned(2, 3));
    expect([held(one), held(two)]).toEqual([["identity1"], ["identity1"]]);
    await cluster.delete("pod", "test-pod2");
    await becomes(assigned(3));
    expect([held(one), held(two)]).toEqual([[], ["identity1"]]);
    expect(arm.machine(group(one)).type).toBe("None");
    expect(
      arm.patches.every(
        ({ group: key }) => key.includes("/virtualmachinescalesets/testvmss") && !key.includes("/virtualmachines/"),
      ),
    ).toBe(true);
    expect(arm.patches).toHaveLength(3);
  });

  test("S33 Immutable", async () => {
    await threeScaleSetNodes();
    start({ protectedClientIds: ["zero-test", " CLIENT-identity1"] });
    await becomes(assigned(1, 2, 3));
    await cluster.delete("pod", "test-pod1");
    await cluster.delete("pod", "test-pod2");
    await becomes(assigned(3));
    expect(held(vmssProviderId("testvmss1", 0))).toEqual(["identity1"]);
  });

  test("an identity annotated to be kept stays attached", async () => {
    await simple();
    await cluster.merge("identity", "test-id", { metadata: { annotations: { "podid.dev/keep": "true" } } });
    start();
    await becomes({ [NAME]: "Assigned" });
    await cluster.delete("pod", "test-pod");
    await becomes({});
    expect(held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });

  test("what was attached before stays attached", async () => {
    await simple();
    arm.attach(group(vmProviderId("test-node")), resourceId("identity1"));
    start();
    await becomes({ [NAME]: "Assigned" });
    await cluster.delete("pod", "test-pod");
    await becomes({});
    expect(held(vmProviderId("test-node"))).toEqual(["identity1"]);
    expect(arm.patches).toEqual([]);
  });

  test("S39 System-assigned untouched", async () => {
    await simple();
    const machine = arm.machine(group(vmProviderId("test-node")));
    machine.type = "SystemAssigned";
    start();
    await becomes({ [NAME]: "Assigned" });
    expect(machine.type).toBe("SystemAssigned, UserAssigned");
    await cluster.delete("pod", "test-pod");
    await becomes({});
    expect(machine.type).toBe("SystemAssigned");
  });

  test("S44 200 identities go in two requests", async () => {
    await cluster.node("node", vmProviderId("node"));
    for (let n = 0; n < 200; n += 1) {
      await cluster.identity(`id-${n}`, { resourceID: resourceId(`identity-${n}`) });
      await cluster.binding(`binding-${n}`, `id-${n}`, "sel");
    }
    await cluster.pod("pod", "node", "sel");
    start();
    await until(async () =>
      expect(Object.values(await cluster.statuses()).filter((status) => status === "Assigned")).toHaveLength(200),
    );
    expect(held(vmProviderId("node"))).toHaveLength(200);
    expect(
      Math.max(...arm.patches.map(({ patch }) => Object.keys(patch.userAssignedIdentities ?? {}).length)),
    ).toBeLessThanOrEqual(150);
  });

  test("S47 Existing not disturbed", async () => {
    await simple();
    arm.known = new Set([resourceId("identity1").toLowerCase()]);
    start();
    await becomes({ [NAME]: "Assigned" });
    for (const n of [1, 2]) {
      await cluster.identity(`bad-${n}`, { resourceID: resourceId(`missing-${n}`) });
      await cluster.binding(`bad-${n}`, `bad-${n}`, `bad-${n}`);
      await cluster.pod(`bad-${n}`, "test-node", `bad-${n}`);
    }
    await until(async () =>
      expect((await cluster.events()).filter((event) => event.includes("missing-"))).toHaveLength(2),
    );
    expect(await cluster.statuses()).toEqual({
      [NAME]: "Assigned",
      "bad-1-default-bad-1": "Created",
      "bad-2-default-bad-2": "Created",
    });
    expect(held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });

  test("S50 Deleting VM: no PATCH", async () => {
    await simple();
    arm.machine(group(vmProviderId("test-node"))).provisioningState = "Deleting";
    start();
    await until(async () =>
      expect((await cluster.events()).join("\n")).toContain("vm is in 'Deleting' provisioning state"),
    );
    expect(arm.patches).toEqual([]);
    expect(await cluster.statuses()).toEqual({ [NAME]: "Created" });
  });

  test("L-54 two pods of the same name in two namespaces share an identity; one goes, the other keeps it", async () => {
    await simple();
    await cluster.pod("test-pod", "test-node", "test-select", "podid");
    start();
    await becomes({ [NAME]: "Assigned", "test-pod-podid-test-id": "Assigned" });
    await cluster.delete("pod", "test-pod", "podid");
    await becomes({ [NAME]: "Assigned" });
    expect(held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });

  test("L-55 two AzureIdentities name the same resource in different casing; one goes, the other keeps it", async () => {
    await simple();
    await cluster.identity("shout", { resourceID: resourceId("identity1").toUpperCase() });
    await cluster.binding("shout", "shout", "shout");
    await cluster.pod("shout", "test-node", "shout");
    start();
    await becomes({ [NAME]: "Assigned", "shout-default-shout": "Assigned" });
    await cluster.delete("pod", "shout");
    await becomes({ [NAME]: "Assigned" });
    expect(arm.patches).toHaveLength(1);
  });

  test("L-56 node gone: its objects go, and the scale set is released of what only that node used", async () => {
    await threeScaleSetNodes();
    await cluster.identity("own", { resourceID: resourceId("own") });
    await cluster.binding("own", "own", "own");
    await cluster.pod("own", "test-node2", "own");
    start();
    await becomes({ ...assigned(1, 2, 3), "own-default-own": "Assigned" });
    await cluster.delete("node", "test-node2");
    await becomes(assigned(1, 3));
    await until(() => expect(held(vmssProviderId("testvmss1", 0))).toEqual(["identity1"]));
  });

  test("the last node of a scale set gone: everything of ours is released", async () => {
    await threeScaleSetNodes();
    start();
    await becomes(assigned(1, 2, 3));
    await cluster.delete("node", "test-node3");
    await becomes(assigned(1, 2));
    await until(() => expect(held(vmssProviderId("testvmss2", 0))).toEqual([]));
  });

  test("a scale set that hangs does not delay another", async () => {
    await threeScaleSetNodes();
    arm.beforePatch = ({ name }) => (name === "testvmss1" ? new Promise<void>(() => {}) : undefined);
    start();
    await until(async () => expect(await cluster.statuses()).toMatchObject(assigned(3)));
    await cluster.pod("late", "test-node3", "test-select");
    await until(async () => expect(await cluster.statuses()).toMatchObject({ "late-default-test-id": "Assigned" }));
    expect(await cluster.statuses()).toMatchObject({ "test-pod1-default-test-id": "Created" });
  });

  test("pods that come while ARM works go together into the next request", async () => {
    await simple();
    let release = (): void => {};
    arm.beforePatch = () => new Promise<void>((resolve) => (release = resolve));
    start();
    await until(() => expect(arm.patches).toHaveLength(1));
    for (const n of [1, 2, 3]) {
      await cluster.identity(`id-${n}`, { resourceID: resourceId(`more-${n}`) });
      await cluster.binding(`b-${n}`, `id-${n}`, `sel-${n}`);
      await cluster.pod(`pod-${n}`, "test-node", `sel-${n}`);
    }
    await until(async () => expect(Object.keys(await cluster.statuses())).toHaveLength(4));
    arm.beforePatch = undefined;
    release();
    await until(async () =>
      expect(Object.values(await cluster.statuses())).toEqual(["Assigned", "Assigned", "Assigned", "Assigned"]),
    );
    expect(arm.patches).toHaveLength(2);
  });
});

describe("crashes and two replicas", () => {
  test("a crash between PATCH and status: the next one assigns without another request and still owns it", async () => {
    await simple();
    const remove = cluster.emulator.faults.add({ verb: "patch", resource: "azureassignedidentities", status: 500 });
    const first = start();
    await until(() => expect(held(vmProviderId("test-node"))).toEqual(["identity1"]));
    await stop(first);
    remove();
    start();
    await becomes({ [NAME]: "Assigned" });
    expect(arm.patches).toHaveLength(1);
    await cluster.delete("pod", "test-pod");
    await becomes({});
    expect(held(vmProviderId("test-node"))).toEqual([]);
  });

  test("S31 Leader lost: the survivor serves, and there is one leader at a time", async () => {
    await cluster.node("test-node", vmProviderId("test-node"));
    const [a, b] = [start(), start()];
    await until(() => expect([a.mic.isActive, b.mic.isActive].filter(Boolean)).toHaveLength(1));
    const [leader, other] = a.mic.isActive ? [a, b] : [b, a];
    expect([leader.mic.healthz(), other.mic.healthz()]).toEqual(["Active", "Not Active"]);
    const stopping = stop(leader);
    await simpleWithoutNode();
    await stopping;
    await becomes({ [NAME]: "Assigned" });
    expect([leader.mic.healthz(), other.mic.healthz()]).toEqual(["Not Active", "Active"]);
  });

  async function simpleWithoutNode(): Promise<void> {
    await cluster.identity("test-id", { resourceID: resourceId("identity1") });
    await cluster.binding("testbinding", "test-id", "test-select");
    await cluster.pod("test-pod", "test-node", "test-select");
  }
});

describe("what upstream left behind", () => {
  async function upstreamObject(status: string | undefined, creationOffset = 0): Promise<void> {
    void creationOffset;
    await cluster.create("assigned", {
      metadata: {
        name: NAME,
        namespace: "default",
        labels: { nodename: "test-node" },
        finalizers: ["azureassignedidentity.finalizers.aadpodidentity.k8s.io"],
      },
      spec: {
        azureIdentityRef: {
          apiVersion: "aadpodidentity.k8s.io/v1",
          kind: "AzureIdentity",
          metadata: { name: "test-id", namespace: "default" },
          spec: { type: 0, clientID: "test-user-msi-clientid", resourceID: resourceId("identity1") },
        },
        azureBindingRef: {
          apiVersion: "aadpodidentity.k8s.io/v1",
          kind: "AzureIdentityBinding",
          metadata: { name: "testbinding", namespace: "default" },
          spec: { azureIdentity: "test-id", selector: "test-select" },
        },
        pod: "test-pod",
        podNamespace: "default",
        nodename: "test-node",
      },
      ...(status !== undefined && { status: { status, availableReplicas: 1 } }),
    });
  }

  test("an Assigned object is kept as it is, its identity taken over, and detached with the last pod", async () => {
    await simple();
    await upstreamObject("Assigned");
    arm.attach(group(vmProviderId("test-node")), resourceId("identity1"), resourceId("foreign"));
    const { log } = start();
    await until(() => expect(log.join("")).toContain("sync thread started"));
    await cluster.delete("pod", "test-pod");
    await becomes({});
    expect(held(vmProviderId("test-node"))).toEqual(["foreign"]);
  });

  test("L-61 an object without status becomes Assigned", async () => {
    await simple();
    await upstreamObject(undefined);
    arm.attach(group(vmProviderId("test-node")), resourceId("identity1"));
    start();
    await becomes({ [NAME]: "Assigned" });
    expect(arm.patches).toEqual([]);
  });

  test("L-59 an Unassigned object whose pod is there becomes Assigned again", async () => {
    await simple();
    await upstreamObject("Unassigned");
    start();
    await becomes({ [NAME]: "Assigned" });
    expect(held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });

  test("adoption switched off: nothing of upstream's is detached", async () => {
    await simple();
    await upstreamObject("Assigned");
    arm.attach(group(vmProviderId("test-node")), resourceId("identity1"));
    const { log } = start({ adoptUpstream: "none" });
    await until(() => expect(log.join("")).toContain("sync thread started"));
    await cluster.delete("pod", "test-pod");
    await becomes({});
    expect(held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });
});
