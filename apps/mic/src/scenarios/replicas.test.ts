import type { KubeTransport } from "@podid/kube";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId } from "../../test/cluster.ts";
import { Harness, SIMPLE } from "../../test/harness.ts";
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
    const leader = h.start({}, severed);
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

  async function simpleWithoutNode(): Promise<void> {
    await h.cluster.identity("test-id", { resourceID: resourceId("identity1") });
    await h.cluster.binding("testbinding", "test-id", "test-select");
    await h.cluster.pod("test-pod", "test-node", "test-select");
  }
});
