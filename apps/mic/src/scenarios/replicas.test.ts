import type { KubeTransport } from "@podid/kube";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { emptyLedger } from "@podid/azure-assigner";
import { resourceId, vmProviderId } from "../../test/cluster.ts";
import { ConfigMapLedgers } from "../groups/config-map-ledgers.ts";
import { groupOf, Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

describe("crashes and two replicas", () => {
  test("a crash between PATCH and status: the next one assigns without another request and still owns it", async () => {
    await h.simple();
    const remove = h.cluster.emulator.faults.add({ verb: "patch", resource: "azureassignedidentities", status: 500 });
    const first = h.start();
    await until(() => expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]));
    await h.stop(first);
    remove();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect(h.arm.patches).toHaveLength(1);
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual([]);
  });

  test("S31 Leader lost: the survivor serves, and there is one leader at a time", async () => {
    await h.cluster.node("test-node", vmProviderId("test-node"));
    const [a, b] = [h.start(), h.start()];
    await until(() => expect([a.mic.isActive, b.mic.isActive].filter(Boolean)).toHaveLength(1));
    const [leader, other] = a.mic.isActive ? [a, b] : [b, a];
    expect([leader.mic.healthz(), other.mic.healthz()]).toEqual(["Active", "Not Active"]);
    const stopping = h.stop(leader);
    await simpleWithoutNode();
    await stopping;
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect([leader.mic.healthz(), other.mic.healthz()]).toEqual(["Not Active", "Active"]);
  });

  test("S31 Leader cut off from the API server: the other takes over after the lease, and the deposed one writes nothing", async () => {
    await h.simple();
    let cut = false;
    const severed = (transport: KubeTransport): KubeTransport => ({
      ...transport,
      request: (request) => (cut ? Promise.reject(new Error("no route")) : transport.request(request)),
      stream: (request) => transport.stream(request),
      close: () => transport.close(),
    });
    const leader = h.start({ leaseMs: 3000 }, severed);
    await h.becomes({ [SIMPLE]: "Assigned" });
    const other = h.start();
    const before = h.arm.patches.length;
    cut = true;
    await h.cluster.identity("late", { resourceID: resourceId("late") });
    await h.cluster.binding("late", "late", "late");
    await h.cluster.pod("late", "test-node", "late");
    await h.becomes({ [SIMPLE]: "Assigned", "late-default-late": "Assigned" });
    expect([leader.mic.isActive, other.mic.isActive]).toEqual([false, true]);
    // The watch of the deposed one still works: it saw the pod, and asked nothing of ARM.
    expect(h.arm.patches.length).toBe(before + 1);
    const holder = (await h.cluster.find("lease", "aad-pod-identity-mic", "podid"))?.["spec"];
    expect(holder).toMatchObject({ leaseTransitions: 1 });
    expect(leader.log.join("")).toContain("lost leader lease");
  });

  test("a new leader whose watch stalled takes nothing from a pod that it does not know of", async () => {
    await h.cluster.node("test-node", vmProviderId("test-node"));
    await simpleIdentity();
    const spec = {
      holderIdentity: "former",
      leaseDurationSeconds: 1,
      renewTime: microTime(),
      acquireTime: microTime(),
      leaseTransitions: 0,
    };
    await h.cluster.create("lease", { metadata: { name: "aad-pod-identity-mic", namespace: "podid" }, spec });
    const { log, mic } = h.start();
    const watched = ["pods", "azureassignedidentities"];
    const { audit, faults } = h.cluster.emulator;
    await until(() => {
      const open = new Set(
        audit.entries.filter((entry) => entry.verb === "watch" && entry.open).map((entry) => entry.resource),
      );
      expect([...open]).toEqual(expect.arrayContaining(watched));
    });
    // What the former leader still does: it serves a new pod.
    for (const resource of watched) faults.stallWatches({ resource });
    const pod = await h.cluster.pod("test-pod", "test-node", "test-select");
    await h.cluster.create("assigned", {
      metadata: {
        name: SIMPLE,
        namespace: "default",
        annotations: { "podid.dev/pod-uid": pod.metadata.uid ?? "" },
        finalizers: ["azureassignedidentity.finalizers.aadpodidentity.k8s.io"],
      },
      spec: {
        azureIdentityRef: {
          metadata: { name: "test-id", namespace: "default" },
          spec: { type: 0, clientID: "client-test-id", resourceID: resourceId("identity1") },
        },
        azureBindingRef: { metadata: { name: "testbinding", namespace: "default" } },
        pod: "test-pod",
        podNamespace: "default",
        nodename: "test-node",
      },
      status: { status: "Assigned" },
    });
    const group = groupOf(vmProviderId("test-node"));
    h.arm.attach(group, resourceId("identity1"));
    await new ConfigMapLedgers(h.cluster.transport, "podid").save(
      group,
      {
        ...emptyLedger(group),
        adopted: true,
        entries: {
          [resourceId("identity1").toLowerCase()]: { id: resourceId("identity1"), state: "attached", origin: "podid" },
        },
      },
      undefined,
    );
    await until(() => expect(mic.isActive).toBe(true));
    await until(() => expect(log.join("")).toContain(`keeping assigned id default/${SIMPLE}`));
    expect([await h.cluster.statuses(), h.arm.patches]).toEqual([{ [SIMPLE]: "Assigned" }, []]);
    faults.resumeWatches();
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual([]);
  });

  function microTime(): string {
    return new Date().toISOString().replace("Z", "000Z");
  }

  async function simpleIdentity(): Promise<void> {
    await h.cluster.identity("test-id", { resourceID: resourceId("identity1") });
    await h.cluster.binding("testbinding", "test-id", "test-select");
  }

  async function simpleWithoutNode(): Promise<void> {
    await h.cluster.identity("test-id", { resourceID: resourceId("identity1") });
    await h.cluster.binding("testbinding", "test-id", "test-select");
    await h.cluster.pod("test-pod", "test-node", "test-select");
  }
});
