import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId } from "../../test/cluster.ts";
import { groupOf, Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

describe("what upstream left behind", () => {
  async function upstreamObject(status: string | undefined): Promise<void> {
    await h.cluster.create("assigned", {
      metadata: {
        name: SIMPLE,
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
    await h.simple();
    await upstreamObject("Assigned");
    h.arm.attach(groupOf(vmProviderId("test-node")), resourceId("identity1"), resourceId("foreign"));
    const { log } = h.start();
    await until(() => expect(log.join("")).toContain("sync thread started"));
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual(["foreign"]);
  });

  test("an Assigned object of a former pod of that name is replaced by one of the pod's own", async () => {
    await upstreamObject("Assigned");
    h.arm.attach(groupOf(vmProviderId("test-node")), resourceId("identity1"));
    const former = await h.cluster.find("assigned", SIMPLE);
    const age = Date.parse(former?.metadata.creationTimestamp ?? "");
    await until(() => expect(Math.floor(Date.now() / 1000) * 1000).toBeGreaterThan(age));
    await h.simple();
    h.start();
    await until(async () => {
      const now = await h.cluster.find("assigned", SIMPLE);
      expect(now?.metadata.uid).not.toBe(former?.metadata.uid);
      expect(now).toMatchObject({
        status: { status: "Assigned" },
        metadata: { annotations: { "podid.dev/pod-uid": expect.any(String) } },
      });
    });
    expect(h.arm.patches).toEqual([]);
  });

  test("L-61 an object without status becomes Assigned", async () => {
    await h.simple();
    await upstreamObject(undefined);
    h.arm.attach(groupOf(vmProviderId("test-node")), resourceId("identity1"));
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect(h.arm.patches).toEqual([]);
  });

  test("L-59 an Unassigned object whose pod is there becomes Assigned again", async () => {
    await h.simple();
    await upstreamObject("Unassigned");
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });

  test("adoption switched off: nothing of upstream's is detached", async () => {
    await h.simple();
    await upstreamObject("Assigned");
    h.arm.attach(groupOf(vmProviderId("test-node")), resourceId("identity1"));
    const { log } = h.start({ adoptUpstream: "none" });
    await until(() => expect(log.join("")).toContain("sync thread started"));
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });
});
