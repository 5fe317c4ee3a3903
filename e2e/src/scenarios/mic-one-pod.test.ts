import { expect, test } from "vitest";
import { MACHINES, resourceId, STATUS_PATIENCE, vm } from "./fixtures.ts";
import type { MicCluster } from "./mic-cluster.ts";
import { onKubeServers } from "./on-kube-servers.ts";

const SIMPLE = "test-pod-default-test-id";
const FINALIZER = "azureassignedidentity.finalizers.aadpodidentity.k8s.io";

/** One pod on one machine, from its first to its last day. */
onKubeServers((cluster) => {
  test.for(MACHINES)("S10 Assign, on a $kind", async ({ machine }) => {
    const c = cluster();
    await c.node("test-node", machine);
    await c.simple();
    // Long enough to be seen as Created.
    c.azure.state.faults.add({ match: { service: "arm", method: "PATCH" }, delayMs: 600 });
    await c.mic();
    await c.becomes({ [SIMPLE]: "Created" });
    expect(c.held(machine)).toEqual([]);
    await c.becomes({ [SIMPLE]: "Assigned" });
    const [assigned] = await c.assigned();
    expect(assigned).toMatchObject({
      metadata: { namespace: "default", labels: { nodename: "test-node" }, finalizers: [FINALIZER] },
      spec: {
        pod: "test-pod",
        podNamespace: "default",
        nodename: "test-node",
        azureIdentityRef: {
          metadata: { name: "test-id", namespace: "default" },
          spec: { type: 0, clientID: "test-user-msi-clientid" },
        },
        azureBindingRef: {
          metadata: { name: "testbinding", namespace: "default" },
          spec: { azureIdentity: "test-id", selector: "test-select" },
        },
      },
      status: { status: "Assigned", availableReplicas: 1 },
    });
    expect(c.held(machine)).toEqual(["identity1"]);
    expect(c.patches).toEqual([machine.id]);
    await c.eventually(async () =>
      expect(await c.events("AzureIdentityBinding")).toEqual([
        `Normal binding applied: Binding testbinding applied on node test-node for pod ${SIMPLE}`,
      ]),
    );
    const writes = (await c.micWrites()).filter(({ resource }) => resource === "azureassignedidentities");
    expect(writes.map(({ verb }) => verb)).toEqual(["create", "patch"]);
  });

  test.for(MACHINES)("S11 Pod deleted, on a $kind", async ({ machine }) => {
    const c = cluster();
    await c.node("test-node", machine);
    await c.simple();
    await c.mic();
    await c.becomes({ [SIMPLE]: "Assigned" });
    await c.delete("pods", "test-pod");
    await c.becomes({});
    expect(c.held(machine)).toEqual([]);
    expect((await c.identityOf(machine))?.type ?? "None").toBe("None");
    expect(Object.values(await c.ledgers()).flat()).toEqual([]);
  });

  test.for(MACHINES)("S12 ARM error on assign, on a $kind", async ({ machine }) => {
    const c = cluster();
    await c.node("test-node", machine);
    const error = { error: { code: "InternalExecutionError", message: "error returned from cloud provider" } };
    const fault = c.azure.state.faults.add({
      match: { service: "arm", method: "PATCH" },
      respond: { status: 500, body: error },
    });
    await c.mic();
    await c.simple();
    await c.eventually(async () => {
      const failures = (await c.events("AzureIdentityBinding")).filter((event) =>
        event.startsWith(
          "Warning binding apply error: failed to apply binding default/testbinding node test-node for pod default/test-pod, error:",
        ),
      );
      expect(failures).not.toEqual([]);
      expect(failures.join("\n")).toContain("error returned from cloud provider");
    });
    expect(await c.statuses()).toEqual({ [SIMPLE]: "Created" });
    expect(c.held(machine)).toEqual([]);
    c.azure.state.faults.remove(fault);
    await c.becomes({ [SIMPLE]: "Assigned" }, 60_000);
  });

  test.for(MACHINES)("S13 Identity edited, on a $kind", async ({ machine }) => {
    const c = cluster();
    await c.node("test-node", machine);
    await c.simple();
    await c.mic();
    await c.becomes({ [SIMPLE]: "Assigned" });
    c.azureIdentity("identity1-new");
    const spec = { resourceID: resourceId("identity1-new"), clientID: "client-identity1-new" };
    const changed = await c.merge("azureIdentities", "test-id", { spec });
    await c.identity("test-id-2", { azure: "identity1", clientID: "test-user-msi-clientid" });
    await c.binding("testbinding2", "test-id-2", "test-select");
    await c.eventually(async () =>
      expect(await c.find("azureAssignedIdentities", SIMPLE)).toMatchObject({
        spec: { azureIdentityRef: { metadata: { resourceVersion: changed.metadata.resourceVersion }, spec } },
        status: { status: "Assigned" },
      }),
    );
    await c.becomes({ [SIMPLE]: "Assigned", "test-pod-default-test-id-2": "Assigned" });
    await c.eventually(() => expect(c.held(machine)).toEqual(["identity1", "identity1-new"]));
    // Nobody needs the old one any more.
    await c.delete("azureIdentityBindings", "testbinding2");
    await c.becomes({ [SIMPLE]: "Assigned" });
    await c.eventually(() => expect(c.held(machine)).toEqual(["identity1-new"]));
  });

  test("S13 Identity edited: its resource id in another casing is the same identity", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    await c.simple();
    await c.mic();
    await c.becomes({ [SIMPLE]: "Assigned" });
    const before = await c.find("azureAssignedIdentities", SIMPLE);
    const resourceID = resourceId("identity1").toUpperCase().replace("/SUBSCRIPTIONS", "/Subscriptions");
    await c.merge("azureIdentities", "test-id", { spec: { resourceID } });
    // What comes later in the same watch has been worked off, so the edit has been as well.
    await c.identity("later", { azure: "identity1", clientID: "test-user-msi-clientid" });
    await c.binding("later", "later", "test-select");
    await c.becomes({ [SIMPLE]: "Assigned", "test-pod-default-later": "Assigned" });
    expect(await c.find("azureAssignedIdentities", SIMPLE)).toEqual(before);
    expect(c.held(vm("test-node"))).toEqual(["identity1"]);
    expect(c.patches).toHaveLength(1);
  });

  test.for([
    { what: "AzureIdentityBinding", kind: "azureIdentityBindings", name: "testbinding" },
    { what: "AzureIdentity", kind: "azureIdentities", name: "test-id" },
  ] as const)("S22 Binding deleted: the $what is deleted", async ({ kind, name }) => {
    for (const { machine } of MACHINES) {
      const c = cluster();
      await c.node("test-node", machine);
      await c.simple();
      await c.mic();
      await c.becomes({ [SIMPLE]: "Assigned" });
      await c.delete(kind, name);
      await c.becomes({});
      await c.eventually(() => expect(c.held(machine)).toEqual([]));
      await c.reset();
    }
  });

  test("S23 Label change", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    for (const n of [0, 1]) {
      await c.identity(`id-${n}`);
      await c.binding(`binding-${n}`, `id-${n}`, `selector-${n}`);
    }
    await c.pod("pod", "test-node", "selector-0");
    await c.mic();
    await c.becomes({ "pod-default-id-0": "Assigned" });
    await c.merge("pods", "pod", { metadata: { labels: { aadpodidbinding: "selector-1" } } });
    await c.becomes({ "pod-default-id-1": "Assigned" });
    await c.eventually(() => expect(c.held(vm("test-node"))).toEqual(["id-1"]));
  });

  test("S23 Label change: other updates of the pod trigger nothing", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    await c.simple();
    const mic = await c.mic();
    await c.becomes({ [SIMPLE]: "Assigned" });
    await quiet(c);
    const [writes, asked] = [(await c.micWrites()).length, c.micArm().length];
    await c.merge("pods", "test-pod", { metadata: { annotations: { note: "x" }, labels: { other: "label" } } });
    await c.of("pods").patch("test-pod", "default", {
      type: "merge",
      subresource: "status",
      body: { status: { phase: "Running", podIP: "10.0.0.8", podIPs: [{ ip: "10.0.0.8" }] } },
    });
    // A later pod in the same watch has been worked off, so the updates have been as well.
    await c.pod("later", "test-node", "unmatched");
    await mic.says("No AzureIdentityBinding found for pod default/later that matches selector: unmatched");
    expect([(await c.micWrites()).length, c.micArm().length]).toEqual([writes, asked]);
  });

  test("S29 Service principal AAI", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    const application = { tenantID: "tenant", clientID: "client" };
    const clientPassword = { name: "secret", namespace: "default" };
    for (const [name, spec] of [
      ["secret", { type: 1, ...application, clientPassword }],
      ["certificate", { type: 2, ...application, clientPassword }],
      ["federated", { type: 3, ...application }],
    ] as const) {
      await c.identity(name, { exists: false, spec: { resourceID: undefined, ...spec } });
      await c.binding(name, name, "sp");
    }
    await c.pod("pod", "test-node", "sp");
    await c.mic();
    await c.becomes({
      "pod-default-secret": "Assigned",
      "pod-default-certificate": "Assigned",
      "pod-default-federated": "Assigned",
    });
    await c.delete("pods", "pod");
    await c.becomes({});
    expect(c.micArm()).toEqual([]);
  });
});

/** Waits until MIC has recorded what it did: its ledger says what ARM has, and the statuses of what it served say that it did. */
async function quiet(c: MicCluster): Promise<void> {
  await c.eventually(async () => {
    expect(Object.values(await c.ledgers()).flat()).toEqual(["identity1 attached"]);
    for (const [kind, name] of [
      ["azureIdentities", "test-id"],
      ["azureIdentityBindings", "testbinding"],
    ] as const)
      expect((await c.find(kind, name))?.["status"]).toMatchObject({ assigned: 1 });
  }, STATUS_PATIENCE);
}
