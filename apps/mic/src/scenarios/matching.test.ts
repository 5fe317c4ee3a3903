import type { KubeObject } from "@podid/kube";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId, vmssProviderId } from "../../test/cluster.ts";
import { groupOf, Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

describe("whom the matcher serves, seen from the API", () => {
  test("S15 Mixed cycle", async () => {
    await h.cluster.node("node", vmProviderId("node"));
    for (const n of [0, 1, 2]) {
      await h.cluster.identity(`test-id-${n}`, { resourceID: resourceId(`identity${n}`) });
      await h.cluster.binding(`testbinding-${n}`, `test-id-${n}`, `test-select-${n}`);
      await h.cluster.pod(`test-pod-${n}`, "node", `test-select-${n}`);
    }
    h.start();
    await h.becomes(Object.fromEntries([0, 1, 2].map((n) => [`test-pod-${n}-default-test-id-${n}`, "Assigned"])));
    await h.cluster.merge("identity", "test-id-0", {
      spec: { clientID: "clientid-4", resourceID: resourceId("identity4") },
    });
    await h.cluster.identity("test-id-3", { resourceID: resourceId("identity3") });
    await h.cluster.binding("testbinding-3", "test-id-3", "test-select-2");
    await h.cluster.delete("pod", "test-pod-1");
    await h.becomes({
      "test-pod-0-default-test-id-0": "Assigned",
      "test-pod-2-default-test-id-2": "Assigned",
      "test-pod-2-default-test-id-3": "Assigned",
    });
    expect((await h.cluster.find("assigned", "test-pod-0-default-test-id-0"))?.["spec"]).toMatchObject({
      azureIdentityRef: { spec: { clientID: "clientid-4" } },
    });
    await until(() => expect(h.held(vmProviderId("node"))).toEqual(["identity2", "identity3", "identity4"]));
  });

  test("S18 Periodic retry", async () => {
    await h.simple();
    h.start({ syncRetryMs: 1000 });
    await h.becomes({ [SIMPLE]: "Assigned" });
    h.arm.failNext("patch", {
      kind: "unavailable",
      status: 503,
      code: "ServerBusy",
      message: "busy",
      retryAfterMs: 50,
    });
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.arm.patches).toHaveLength(2);
  });

  async function twoNamespaces(): Promise<void> {
    await h.cluster.node("node", vmProviderId("node"));
    for (const namespace of ["default", "podid"]) {
      await h.cluster.identity("test-id", { resourceID: resourceId(`of-${namespace}`) }, { namespace });
      await h.cluster.binding("testbinding", "test-id", "test-select", { namespace });
    }
  }

  test("S19 Namespaced mode", async () => {
    await twoNamespaces();
    await h.cluster.pod("test-pod", "node", "test-select", "default");
    await h.cluster.pod("test-pod2", "node", "test-select", "podid");
    h.start({ forceNamespaced: true });
    await h.becomes({ "test-pod-default-test-id": "Assigned", "test-pod2-podid-test-id": "Assigned" });
    const places = (await h.cluster.assigned()).map(({ metadata, spec }) => [
      metadata.namespace,
      spec.azureIdentityRef?.metadata.namespace,
    ]);
    expect(places).toEqual([
      ["default", "default"],
      ["podid", "podid"],
    ]);
  });

  test("S20 Namespaced annotation", async () => {
    await h.cluster.node("node", vmProviderId("node"));
    const namespace = "podid";
    await h.cluster.identity(
      "a",
      { resourceID: resourceId("a") },
      { namespace, annotations: { "aadpodidentity.k8s.io/Behavior": "namespaced" } },
    );
    await h.cluster.identity(
      "b",
      { resourceID: resourceId("b") },
      { namespace, annotations: { "aadpodidentity.k8s.io/Behavior": "Namespaced" } },
    );
    await h.cluster.binding("a", "a", "sel", { namespace });
    await h.cluster.binding("b", "b", "sel", { namespace });
    await h.cluster.pod("p", "node", "sel", namespace);
    await h.cluster.pod("q", "node", "sel", "default");
    h.start();
    await h.becomes({ "p-podid-a": "Assigned", "p-podid-b": "Assigned", "q-default-b": "Assigned" });
    const places = (await h.cluster.assigned()).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    expect(places.sort()).toEqual(["default/p-podid-b", "default/q-default-b", "podid/p-podid-a"]);
  });

  test("S21 Same names in two namespaces", async () => {
    await twoNamespaces();
    await h.cluster.pod("test-pod", "node", "test-select", "podid");
    h.start();
    await h.becomes({ "test-pod-podid-test-id": "Assigned" });
    expect((await h.cluster.assigned())[0]).toMatchObject({
      metadata: { namespace: "default" },
      spec: {
        azureIdentityRef: { metadata: { namespace: "default" } },
        azureBindingRef: { metadata: { namespace: "default" } },
      },
    });
  });

  test("S25 40 pods", async () => {
    for (const n of [0, 1, 2, 3]) await h.cluster.node(`node-${n}`, vmssProviderId(`vmss-${n % 2}`, n));
    for (const n of [0, 1, 2, 3, 4]) {
      await h.cluster.identity(`id-${n}`, { resourceID: resourceId(`identity-${n}`) });
      await h.cluster.binding(`binding-${n}`, `id-${n}`, `selector-${n}`);
    }
    h.start();
    for (let n = 0; n < 40; n += 1) await h.cluster.pod(`pod-${n}`, `node-${n % 4}`, `selector-${n % 5}`);
    await until(async () => {
      const statuses = Object.values(await h.cluster.statuses());
      expect(statuses).toEqual(Array.from({ length: 40 }, () => "Assigned"));
    });
    expect(h.held(vmssProviderId("vmss-0", 0))).toHaveLength(5);
  });

  test("S28 Ignored pods", async () => {
    await h.simple();
    const pod = (name: string, labels: Record<string, string>, nodeName?: string) =>
      h.cluster.create("pod", {
        metadata: { name, namespace: "default", labels },
        spec: { ...(nodeName && { nodeName }), containers: [{ name: "c", image: "i" }] },
      });
    await pod("no-node", { aadpodidbinding: "test-select" });
    await pod("empty", { aadpodidbinding: "" }, "test-node");
    await pod("unmatched", { aadpodidbinding: "x" }, "test-node");
    await pod("cased", { aadpodidbinding: "Test-Select" }, "test-node");
    const { log } = h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    for (const line of [
      "pod default/no-node has no assigned node yet. it will be ignored",
      "pod default/empty doesn't contain aadpodidbinding label field. it will be ignored",
      "No AzureIdentityBinding found for pod default/unmatched that matches selector: x. it will be ignored",
      "No AzureIdentityBinding found for pod default/cased that matches selector: Test-Select. it will be ignored",
    ])
      expect(log.join("")).toContain(line);
  });

  test("L-64, L-65 pods that have ended or use the host's network get nothing", async () => {
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.create("pod", {
      metadata: { name: "host", namespace: "default", labels: { aadpodidbinding: "test-select" } },
      spec: { nodeName: "test-node", hostNetwork: true, containers: [{ name: "c", image: "i" }] },
    });
    await h.cluster.setPhase("test-pod", "Succeeded");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual([]);
  });

  test("why a pod gets nothing: each reason in the log, two of them once as an event of the pod", async () => {
    await h.simple();
    await h.cluster.setPhase("test-pod", "Failed");
    const host = await h.cluster.create("pod", {
      metadata: { name: "host", namespace: "default", labels: { aadpodidbinding: "test-select" } },
      spec: { nodeName: "test-node", hostNetwork: true, containers: [{ name: "main", image: "busybox" }] },
    });
    await h.cluster.pod("early", "test-node", "broken");
    const { log } = h.start();
    await until(() => expect(log.join("")).toContain("No AzureIdentityBinding found for pod default/early"));
    await h.cluster.identity("broken", { resourceID: "nonsense" });
    await h.cluster.binding("broken", "broken", "broken");
    const aboutPods = async () =>
      (await h.cluster.list("event")).filter((event) => (event["involvedObject"] as KubeObject).kind === "Pod");
    await until(async () => expect(await aboutPods()).toHaveLength(2));
    await h.cluster.merge("pod", "host", { metadata: { annotations: { note: "x" } } });
    await h.cluster.pod("late", "test-node", "broken");
    await until(async () => expect(await aboutPods()).toHaveLength(3));

    const invalid = { type: "Warning", reason: "IdentityInvalid", count: 1 };
    const message = expect.stringContaining("ignoring azure identity default/broken, error: ") as string;
    expect((await aboutPods()).toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))).toMatchObject([
      { ...invalid, message, involvedObject: { name: "early" } },
      {
        type: "Warning",
        reason: "PodHostNetwork",
        count: 1,
        message: expect.stringContaining("pod default/host uses the network of its node") as string,
        involvedObject: { apiVersion: "v1", namespace: "default", name: "host", uid: host.metadata.uid },
      },
      { ...invalid, message, involvedObject: { name: "late" } },
    ]);
    expect(log.join("")).toContain("pod default/test-pod has ended (Failed). it will be ignored");
    for (const name of ["host", "test-pod", "late"]) {
      expect(log.join("")).not.toContain(`No AzureIdentityBinding found for pod default/${name} `);
    }
  });

  test("L-53 a node name longer than a label value is shortened in the label, whole in the spec", async () => {
    const long = `${"n".repeat(70)}.example`;
    await h.cluster.node(long, vmProviderId("vm"));
    await h.cluster.identity("id", { resourceID: resourceId("i") });
    await h.cluster.binding("b", "id", "sel");
    await h.cluster.pod("pod", long, "sel");
    h.start();
    await h.becomes({ "pod-default-id": "Assigned" });
    const [assigned] = await h.cluster.assigned();
    expect(assigned?.spec.nodename).toBe(long);
    expect(assigned?.metadata.labels?.["nodename"]?.length).toBeLessThanOrEqual(63);
  });

  test("a node without a usable providerID: managed identities fail with the reason, others are assigned", async () => {
    await h.cluster.node("odd", "kind://docker/odd");
    await h.cluster.identity("managed", { resourceID: resourceId("i") });
    await h.cluster.identity("federated", { type: 3, tenantID: "t" });
    await h.cluster.binding("b1", "managed", "sel");
    await h.cluster.binding("b2", "federated", "sel");
    await h.cluster.pod("pod", "odd", "sel");
    h.start();
    await h.becomes({ "pod-default-federated": "Assigned", "pod-default-managed": "Created" });
    await until(async () => expect((await h.cluster.events()).join("\n")).toContain("kind://docker/odd"));
    await h.cluster.delete("pod", "pod");
    await h.becomes({});
    expect([h.arm.reads, h.arm.patches.length]).toEqual([0, 0]);
  });

  test("a dry run says what it would do and writes nothing", async () => {
    await h.simple();
    const before = h.cluster.writes();
    const { log, mic } = h.start({ dryRun: true });
    await until(() =>
      expect(log.join("")).toContain("dry run: processing node test-node, add [test-pod-default-test-id]"),
    );
    await until(() =>
      expect(log.join("")).toContain(
        `dry run: would be updating user-assigned identities on test-node, assign [${resourceId("identity1")}]`,
      ),
    );
    expect(await h.cluster.statuses()).toEqual({});
    expect(await h.cluster.ledgers()).toEqual([]);
    expect(h.arm.machine(groupOf(vmProviderId("test-node"))).identities.size).toBe(0);
    // Nor does it lead: whoever really works, in this version or aad-pod-identity's, is not to wait for it.
    expect(mic.isActive).toBe(false);
    await mic.stop();
    expect(h.cluster.writes()).toBe(before);
  });
});
