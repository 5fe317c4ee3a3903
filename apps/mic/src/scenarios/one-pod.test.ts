import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId } from "../../test/cluster.ts";
import { groupOf, Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

describe("one pod", () => {
  test("S10 Assign", async () => {
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    const [assigned] = await h.cluster.assigned();
    const pod = await h.cluster.find("pod", "test-pod");
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
    expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]);
    await until(async () =>
      expect(await h.cluster.events()).toContain(
        "Normal binding applied: Binding testbinding applied on node test-node for pod test-pod-default-test-id",
      ),
    );
    const writes = h.cluster.emulator.audit.entries.filter(
      ({ resource, verb }) =>
        resource === "azureassignedidentities" && ["create", "update", "patch", "delete"].includes(verb),
    );
    expect(writes.map(({ verb }) => verb)).toEqual(["create", "patch"]);
  });

  test("S11 Pod deleted", async () => {
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.arm.machine(groupOf(vmProviderId("test-node")))).toMatchObject({ type: "None", identities: new Map() });
  });

  test("S12 ARM error on assign", async () => {
    await h.simple();
    h.arm.failNext("patch", {
      kind: "unavailable",
      status: 500,
      code: "InternalError",
      message: "error returned from cloud provider",
    });
    h.arm.beforePatch = () => new Promise<void>(() => {});
    const { log } = h.start();
    await until(async () => {
      const events = await h.cluster.events();
      expect(events.join("\n")).toContain(
        "Warning binding apply error: failed to apply binding default/testbinding node test-node for pod default/test-pod, error: ",
      );
      expect(events.join("\n")).toContain("error returned from cloud provider");
    });
    expect(await h.cluster.statuses()).toEqual({ [SIMPLE]: "Created" });
    // As people search for it.
    expect(log.join("")).toContain(
      `failed to update user-assigned identities on node test-node (add [${SIMPLE}], del [], update[]), error: error returned from cloud provider`,
    );
  });

  test("S13 Identity edited", async () => {
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    const changed = await h.cluster.merge("identity", "test-id", { spec: { resourceID: resourceId("identity1-new") } });
    await h.cluster.identity("test-id-2", { resourceID: resourceId("identity1") });
    await h.cluster.binding("testbinding2", "test-id-2", "test-select");
    await h.becomes({ [SIMPLE]: "Assigned", "test-pod-default-test-id-2": "Assigned" });
    await until(async () =>
      expect((await h.cluster.find("assigned", SIMPLE))?.["spec"]).toMatchObject({
        azureIdentityRef: {
          metadata: { resourceVersion: changed.metadata.resourceVersion },
          spec: { resourceID: resourceId("identity1-new") },
        },
      }),
    );
    await until(() => expect(h.held(vmProviderId("test-node"))).toEqual(["identity1", "identity1-new"]));
  });

  test.for([
    { name: "made by us", metadata: {} },
    { name: "stripped of labels and annotations by somebody", metadata: { labels: null, annotations: null } },
  ])("a field taken from an identity leaves the copy in the object $name", async ({ metadata }) => {
    await h.cluster.node("node", vmProviderId("node"));
    await h.cluster.identity("sp", {
      type: 1,
      tenantID: "t",
      auxiliaryTenantIDs: ["a"],
      adEndpoint: "https://login.example/",
      clientPassword: { name: "s", namespace: "default" },
    });
    await h.cluster.binding("b", "sp", "sel");
    const pod = await h.cluster.pod("pod", "node", "sel");
    h.start();
    await h.becomes({ "pod-default-sp": "Assigned" });
    await h.cluster.merge("assigned", "pod-default-sp", { metadata });
    const changed = await h.cluster.merge("identity", "sp", {
      spec: { adEndpoint: null, auxiliaryTenantIDs: null, clientPassword: { namespace: null } },
    });
    await until(async () =>
      expect((await h.cluster.assigned())[0]).toMatchObject({
        metadata: { labels: { nodename: "node" }, annotations: { "podid.dev/pod-uid": pod.metadata.uid } },
        spec: { azureIdentityRef: { metadata: { resourceVersion: changed.metadata.resourceVersion } } },
        status: { status: "Assigned" },
      }),
    );
    const [assigned] = await h.cluster.assigned();
    expect(assigned?.spec.azureIdentityRef?.spec).toEqual(changed["spec"]);
    expect(assigned?.metadata.finalizers).toHaveLength(1);
  });

  test.for([
    { kind: "binding", name: "testbinding" },
    { kind: "identity", name: "test-id" },
  ] as const)("S22 $kind deleted", async ({ kind, name }) => {
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.delete(kind, name);
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual([]);
  });

  test("S23 Label change", async () => {
    await h.cluster.node("node", vmProviderId("node"));
    for (const n of [0, 1]) {
      await h.cluster.identity(`id-${n}`, { resourceID: resourceId(`identity-${n}`) });
      await h.cluster.binding(`binding-${n}`, `id-${n}`, `selector-${n}`);
    }
    await h.cluster.pod("pod", "node", "selector-0");
    h.start();
    await h.becomes({ "pod-default-id-0": "Assigned" });
    await h.cluster.merge("pod", "pod", { metadata: { labels: { aadpodidbinding: "selector-1" } } });
    await h.becomes({ "pod-default-id-1": "Assigned" });
    expect(h.held(vmProviderId("node"))).toEqual(["identity-1"]);
  });

  test("S29 Service principal AAI", async () => {
    await h.cluster.node("node", vmProviderId("node"));
    await h.cluster.identity("sp", {
      type: 1,
      tenantID: "t",
      clientID: "c",
      clientPassword: { name: "s", namespace: "default" },
    });
    await h.cluster.identity("federated", { type: 3, tenantID: "t", clientID: "c" });
    await h.cluster.binding("b1", "sp", "sel");
    await h.cluster.binding("b2", "federated", "sel");
    await h.cluster.pod("pod", "node", "sel");
    h.start();
    await h.becomes({ "pod-default-sp": "Assigned", "pod-default-federated": "Assigned" });
    expect([h.arm.reads, h.arm.patches.length]).toEqual([0, 0]);
  });

  test("L-51 annotating identity or binding changes nothing", async () => {
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    const before = await h.cluster.find("assigned", SIMPLE);
    await h.cluster.merge("identity", "test-id", { metadata: { annotations: { note: "x" } } });
    await h.cluster.merge("binding", "testbinding", { metadata: { annotations: { note: "x" } } });
    // What comes later in the same watches has been worked off, so the annotations have been as well.
    await h.cluster.identity("later", { resourceID: resourceId("identity1") });
    await h.cluster.binding("later", "later", "test-select");
    await h.becomes({ [SIMPLE]: "Assigned", "test-pod-default-later": "Assigned" });
    expect(await h.cluster.find("assigned", SIMPLE)).toEqual(before);
    expect(h.arm.patches).toHaveLength(1);
  });

  test("an object deleted by hand goes at once and comes back while the pod lives", async () => {
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    const before = await h.cluster.find("assigned", SIMPLE);
    await h.cluster.delete("assigned", SIMPLE);
    await until(async () => {
      const now = await h.cluster.find("assigned", SIMPLE);
      expect(now?.metadata.uid).toBeDefined();
      expect(now?.metadata.uid).not.toBe(before?.metadata.uid);
      expect(now?.["status"]).toMatchObject({ status: "Assigned" });
    });
    expect(h.arm.patches).toHaveLength(1);
  });

  test("a pod made again under its old name gets an object of its own with the same name", async () => {
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.delete("pod", "test-pod");
    const pod = await h.cluster.pod("test-pod", "test-node", "test-select");
    await until(async () =>
      expect(await h.cluster.find("assigned", SIMPLE)).toMatchObject({
        metadata: { annotations: { "podid.dev/pod-uid": pod.metadata.uid } },
        status: { status: "Assigned" },
      }),
    );
    expect(Object.keys(await h.cluster.statuses())).toEqual([SIMPLE]);
  });
});
