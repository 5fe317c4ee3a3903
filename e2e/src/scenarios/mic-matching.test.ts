import { expect, test } from "vitest";
import { instance, resourceId, vm } from "./fixtures.ts";
import { onKubeServers } from "./on-kube-servers.ts";

/** Whom MIC serves, and whom not. */
onKubeServers((cluster) => {
  test("S15 Mixed cycle", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    for (const n of [0, 1, 2]) {
      await c.identity(`test-id-${n}`, { azure: `identity${n}` });
      await c.binding(`testbinding-${n}`, `test-id-${n}`, `test-select-${n}`);
      await c.pod(`test-pod-${n}`, "test-node", `test-select-${n}`);
    }
    await c.mic();
    await c.becomes(Object.fromEntries([0, 1, 2].map((n) => [`test-pod-${n}-default-test-id-${n}`, "Assigned"])));
    c.azureIdentity("identity4", "clientid-4");
    await Promise.all([
      c.merge("azureIdentities", "test-id-0", {
        spec: { clientID: "clientid-4", resourceID: resourceId("identity4") },
      }),
      c.identity("test-id-3", { azure: "identity3" }),
      c.binding("testbinding-3", "test-id-3", "test-select-2"),
      c.delete("pods", "test-pod-1"),
    ]);
    await c.becomes({
      "test-pod-0-default-test-id-0": "Assigned",
      "test-pod-2-default-test-id-2": "Assigned",
      "test-pod-2-default-test-id-3": "Assigned",
    });
    await c.eventually(async () =>
      expect(await c.find("azureAssignedIdentities", "test-pod-0-default-test-id-0")).toMatchObject({
        spec: { azureIdentityRef: { spec: { clientID: "clientid-4", resourceID: resourceId("identity4") } } },
        status: { status: "Assigned" },
      }),
    );
    await c.eventually(() => expect(c.held(vm("test-node"))).toEqual(["identity2", "identity3", "identity4"]));
  });

  test("S19 Namespaced mode", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    await c.identity("test-id", { azure: "of-default" });
    await c.binding("testbinding", "test-id", "test-select");
    await c.pod("test-pod", "test-node", "test-select");
    await c.mic(["--forceNamespaced"]);
    await c.becomes({ "test-pod-default-test-id": "Assigned" });
    await c.identity("test-id", { azure: "of-default2", namespace: "default2" });
    await c.binding("testbinding", "test-id", "test-select", "default2");
    await c.pod("test-pod2", "test-node", "test-select", { namespace: "default2" });
    await c.becomes({ "test-pod-default-test-id": "Assigned", "default2/test-pod2-default2-test-id": "Assigned" });
    for (const { metadata, spec } of await c.assigned())
      expect([
        spec.podNamespace,
        spec.azureIdentityRef?.metadata.namespace,
        spec.azureBindingRef?.metadata.namespace,
      ]).toEqual(Array.from({ length: 3 }, () => metadata.namespace));
    expect(c.held(vm("test-node"))).toEqual(["of-default", "of-default2"]);
  });

  test("S19 Namespaced mode: by the environment, and a namespace without identities gets none", async () => {
    const c = cluster();
    await c.node("test-node", instance("vmss", 0));
    await c.identity("test-id");
    await c.binding("testbinding", "test-id", "test-select");
    await c.pod("elsewhere", "test-node", "test-select", { namespace: "ns1" });
    await c.pod("here", "test-node", "test-select");
    await c.mic([], { FORCENAMESPACED: "true" });
    await c.becomes({ "here-default-test-id": "Assigned" });
  });

  test("S20 Namespaced annotation", async () => {
    const c = cluster();
    const namespace = "ns1";
    await c.node("node", vm("node"));
    await c.identity("a", { namespace, annotations: { "aadpodidentity.k8s.io/Behavior": "namespaced" } });
    await c.identity("b", { namespace, annotations: { "aadpodidentity.k8s.io/Behavior": "Namespaced" } });
    await c.binding("a", "a", "sel", namespace);
    await c.binding("b", "b", "sel", namespace);
    await c.pod("p", "node", "sel", { namespace });
    await c.pod("q", "node", "sel", { namespace: "ns2" });
    await c.mic();
    await c.becomes({ "ns1/p-ns1-a": "Assigned", "p-ns1-b": "Assigned", "q-ns2-b": "Assigned" });
    // Without the annotation it serves the other namespace as well.
    await c.merge("azureIdentities", "a", { metadata: { annotations: null } }, namespace);
    await c.becomes({ "p-ns1-a": "Assigned", "q-ns2-a": "Assigned", "p-ns1-b": "Assigned", "q-ns2-b": "Assigned" });
  });

  test("S21 Same names in two namespaces", async () => {
    const c = cluster();
    await c.node("node", vm("node"));
    const [identity, binding, selector] = [
      "keyvault-identity",
      "keyvault-identity-binding",
      "keyvault-identity-selector",
    ];
    // The winner is the first by name, whichever came first.
    for (const namespace of ["ns2", "ns1"]) {
      await c.identity(identity, { namespace, azure: `of-${namespace}` });
      await c.binding(binding, identity, selector, namespace);
    }
    await c.pod("pod", "node", selector, { namespace: "ns1" });
    const mic = await c.mic();
    await c.becomes({ "pod-ns1-keyvault-identity": "Assigned" });
    expect((await c.assigned())[0]).toMatchObject({
      metadata: { namespace: "default" },
      spec: {
        azureIdentityRef: { metadata: { name: identity, namespace: "ns1" } },
        azureBindingRef: { metadata: { name: binding, namespace: "ns1" } },
      },
    });
    expect(c.held(vm("node"))).toEqual(["of-ns1"]);
    await mic.says(`AzureIdentity ${identity} exists in both `);
  });

  test("S25 40 pods", async () => {
    const c = cluster();
    for (const n of [0, 1]) await c.node(`node-${n}`, instance("vmss", n));
    for (const n of [2, 3]) await c.node(`node-${n}`, vm(`node-${n}`));
    for (const n of [0, 1, 2, 3, 4]) {
      await c.identity(`id-${n}`);
      await c.binding(`binding-${n}`, `id-${n}`, `selector-${n}`);
    }
    await c.mic();
    const pods = Array.from({ length: 40 }, (_, n) => n);
    await Promise.all(pods.map((n) => c.pod(`pod-${n}`, `node-${n % 4}`, `selector-${n % 5}`)));
    await c.becomes(Object.fromEntries(pods.map((n) => [`pod-${n}-default-id-${n % 5}`, "Assigned"])), 60_000);
    for (const machine of [instance("vmss", 0), vm("node-2"), vm("node-3")])
      expect(c.held(machine)).toEqual(["id-0", "id-1", "id-2", "id-3", "id-4"]);
    await c.eventually(async () =>
      expect((await c.events()).filter((event) => event.startsWith("Normal binding applied"))).toHaveLength(40),
    );
  });

  test("S28 Ignored pods", async () => {
    const c = cluster();
    await c.node("node", vm("node"));
    await c.identity("test-id");
    await c.binding("testbinding", "test-id", "test-select");
    await c.pod("served", "node", "test-select");
    await c.pod("no-node", undefined, "test-select");
    await c.pod("empty", "node", "");
    await c.pod("unmatched", "node", "x");
    await c.pod("cased", "node", "Test-Select");
    const mic = await c.mic();
    await c.becomes({ "served-default-test-id": "Assigned" });
    for (const line of [
      "pod default/no-node has no assigned node yet. it will be ignored",
      "pod default/empty doesn't contain aadpodidbinding label field. it will be ignored",
      "No AzureIdentityBinding found for pod default/unmatched that matches selector: x. it will be ignored",
      "No AzureIdentityBinding found for pod default/cased that matches selector: Test-Select. it will be ignored",
    ])
      await mic.says(line);
    expect(Object.keys(await c.statuses())).toHaveLength(1);
    // As soon as it has a node it is like any other.
    await c.of("pods").create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "scheduled", namespace: "default", labels: { aadpodidbinding: "test-select" } },
      spec: { nodeName: "node", containers: [{ name: "main", image: "registry.example/pause:1" }] },
    });
    await c.becomes({ "served-default-test-id": "Assigned", "scheduled-default-test-id": "Assigned" });
  });
});
