import { readFileSync } from "node:fs";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { IDENTITY_SUBSCRIPTION, instance, MACHINES, resourceId, vm } from "./fixtures.ts";
import { MIC_CLIENT, TENANT } from "./mic-cluster.ts";
import type { MicCluster } from "./mic-cluster.ts";
import { onKubeServers } from "./on-kube-servers.ts";

const SIMPLE = "test-pod-default-test-id";
const [ONE, TWO] = [instance("testvmss1", 0), instance("testvmss2", 0)];

/** What MIC does to VMs and scale sets, and what it leaves alone. */
onKubeServers((cluster) => {
  const assigned = (...pods: readonly number[]): Record<string, string> =>
    Object.fromEntries(pods.map((n) => [`test-pod${n}-default-test-id`, "Assigned"]));

  async function threeScaleSetNodes(c: MicCluster): Promise<void> {
    await c.node("test-node1", instance("testvmss1", 0));
    await c.node("test-node2", instance("testvmss1", 1));
    await c.node("test-node3", instance("testvmss2", 0));
    await c.identity("test-id", { azure: "identity1", clientID: "test-user-msi-clientid" });
    await c.binding("testbinding", "test-id", "test-select");
    for (const n of [1, 2, 3]) await c.pod(`test-pod${n}`, `test-node${n}`, "test-select");
  }

  test("S32 Shared identity on VMSS", async () => {
    const c = cluster();
    await threeScaleSetNodes(c);
    await c.mic();
    await c.becomes(assigned(1, 2, 3));
    expect([c.held(ONE), c.held(TWO)]).toEqual([["identity1"], ["identity1"]]);
    await c.delete("pods", "test-pod1");
    await c.becomes(assigned(2, 3));
    expect([c.held(ONE), c.held(TWO)]).toEqual([["identity1"], ["identity1"]]);
    await c.delete("pods", "test-pod2");
    await c.becomes(assigned(3));
    expect([c.held(ONE), c.held(TWO)]).toEqual([[], ["identity1"]]);
    expect((await c.identityOf(ONE))?.type ?? "None").toBe("None");
    expect(c.patches.toSorted()).toEqual([ONE.id, ONE.id, TWO.id]);
  });

  test("S32 Shared identity on VMSS: providerIDs in other casings, and a scale set of the same name elsewhere", async () => {
    const c = cluster();
    const other = instance("testvmss1", 0, "otherGroup");
    c.machine(ONE);
    for (const [name, providerID] of [
      ["test-node1", ONE.providerID],
      [
        "test-node2",
        instance("testvmss1", 1).providerID.replace("fakeGroup", "FAKEGROUP").replace("testvmss1", "TestVMSS1"),
      ],
      ["test-node3", instance("testvmss1", 2).providerID.toLowerCase().replace("fakesub", "fakeSub")],
    ] as const)
      await c.of("nodes").create({ metadata: { name }, spec: { providerID } });
    await c.node("elsewhere", other);
    await c.identity("test-id", { azure: "identity1" });
    await c.binding("testbinding", "test-id", "test-select");
    for (const n of [1, 2, 3]) await c.pod(`test-pod${n}`, `test-node${n}`, "test-select");
    await c.mic();
    await c.becomes(assigned(1, 2, 3));
    expect([c.held(ONE), c.held(other)]).toEqual([["identity1"], []]);
    await c.delete("pods", "test-pod1");
    await c.delete("pods", "test-pod2");
    await c.becomes(assigned(3));
    expect(c.held(ONE)).toEqual(["identity1"]);
    await c.delete("pods", "test-pod3");
    await c.becomes({});
    expect(c.held(ONE)).toEqual([]);
    expect(c.patches).toHaveLength(2);
  });

  test("S33 Immutable", async () => {
    const c = cluster();
    await threeScaleSetNodes(c);
    await c.mic(["--immutable-user-msis=zero-test,test-user-msi-clientid"]);
    await c.becomes(assigned(1, 2, 3));
    await c.delete("pods", "test-pod1");
    await c.delete("pods", "test-pod2");
    await c.becomes(assigned(3));
    expect([c.held(ONE), c.held(TWO)]).toEqual([["identity1"], ["identity1"]]);
  });

  test("S33 Immutable: the list in another casing, with spaces", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    await c.simple();
    await c.mic(["--immutable-user-msis=zero-test, Test-User-MSI-ClientID"]);
    await c.becomes({ [SIMPLE]: "Assigned" });
    await c.delete("pods", "test-pod");
    await c.becomes({});
    expect(c.held(vm("test-node"))).toEqual(["identity1"]);
  });

  test.for([
    { of: "a user-assigned identity is kept", clientId: "cluster-identity", left: ["identity1"] },
    { of: "a system-assigned identity protects none", clientId: "", left: [] },
  ])("S34 Cluster identity: $of", async ({ clientId, left }) => {
    const c = cluster();
    const node = vm("test-node");
    await c.node("test-node", node);
    // MIC runs on this machine and asks its IMDS.
    const control = vm("control");
    c.machine(control, { systemAssigned: true });
    await c.identity("test-id", { azure: "identity1", clientID: "cluster-identity" });
    await c.binding("testbinding", "test-id", "test-select");
    await c.pod("test-pod", "test-node", "test-select");
    c.azure.state.attach(control.id, resourceId("identity1"));
    const endpoint = `https://localhost:${c.azure.port}`;
    c.azure.state.seed({
      resources: [endpoint, `${endpoint}/`],
      roleAssignments: [control.id, resourceId("identity1")].flatMap((principal) =>
        ["testSub", IDENTITY_SUBSCRIPTION].map((id) => ({
          principal,
          role: "Contributor",
          scope: `/subscriptions/${id}`,
        })),
      ),
    });
    const imds = await c.azure.startImds(control.id);
    const config = join(c.directory, "azure-managed.json");
    await writeFile(
      config,
      JSON.stringify({
        cloud: "AzureStackCloud",
        tenantId: TENANT,
        subscriptionId: "testSub",
        resourceGroup: "fakeGroup",
        useManagedIdentityExtension: true,
        userAssignedIdentityID: clientId,
      }),
    );
    await c.mic([`--cloudconfig=${config}`], { AZURE_POD_IDENTITY_AUTHORITY_HOST: imds.url, CLIENT_SECRET: "" });
    await c.becomes({ [SIMPLE]: "Assigned" });
    await c.delete("pods", "test-pod");
    await c.becomes({});
    expect(c.held(node)).toEqual(left);
    await imds.close();
  });

  test.for(MACHINES)(
    "S38 GenerateIdentityAssignmentDiff: what is missing comes back, nothing is removed, on a $kind",
    async ({ machine }) => {
      const c = cluster();
      await c.node("test-node", machine);
      for (const foreign of ["theirs", "later"]) c.azureIdentity(foreign);
      c.azure.state.attach(machine.id, resourceId("theirs"));
      await c.simple();
      await c.identity("sp", {
        exists: false,
        spec: { type: 1, tenantID: "t", clientPassword: { name: "s", namespace: "default" } },
      });
      await c.binding("sp", "sp", "test-select");
      await c.mic(["--identity-assignment-reconcile-interval=1s"]);
      await c.becomes({ [SIMPLE]: "Assigned", "test-pod-default-sp": "Assigned" });
      c.azure.state.detach(machine.id, resourceId("identity1"));
      c.azure.state.attach(machine.id, resourceId("later"));
      await c.eventually(() => expect(c.held(machine)).toEqual(["identity1", "later", "theirs"]));
      expect(await c.statuses()).toEqual({ [SIMPLE]: "Assigned", "test-pod-default-sp": "Assigned" });
    },
  );

  test.for(MACHINES)("S39 System-assigned untouched, on a $kind", async ({ machine }) => {
    const c = cluster();
    c.machine(machine, { systemAssigned: true });
    await c.node("test-node", machine);
    const { principalId } = (await c.identityOf(machine)) ?? {};
    expect(principalId).toBeDefined();
    await c.simple();
    await c.mic();
    await c.becomes({ [SIMPLE]: "Assigned" });
    expect(await c.identityOf(machine)).toMatchObject({ type: "SystemAssigned, UserAssigned", principalId });
    await c.delete("pods", "test-pod");
    await c.becomes({});
    expect(await c.identityOf(machine)).toMatchObject({ type: "SystemAssigned", principalId });
    expect(c.held(machine)).toEqual([]);
  });

  test.for(MACHINES)("S42 UpdateUserMSI beside what others attached, on a $kind", async ({ machine }) => {
    const c = cluster();
    await c.node("test-node", machine);
    for (const name of ["ID0", "ID4"]) {
      c.azureIdentity(name);
      c.azure.state.attach(machine.id, resourceId(name));
    }
    for (const name of ["ID0again", "ID3", "ID4"]) {
      const object = name.toLowerCase();
      await c.identity(object, { azure: name });
      await c.binding(object, object, object);
      await c.pod(object, "test-node", object);
    }
    await c.mic();
    await c.becomes({
      "id0again-default-id0again": "Assigned",
      "id3-default-id3": "Assigned",
      "id4-default-id4": "Assigned",
    });
    expect(c.held(machine)).toEqual(
      ["ID0", "ID0again", "ID3", "ID4"]
        .map((name) => (name.endsWith("again") || name === "ID3" ? name.toLowerCase() : name))
        .sort(),
    );
    for (const name of ["id0again", "id3", "id4"]) await c.delete("pods", name);
    await c.becomes({});
    await c.eventually(() => expect(c.held(machine)).toEqual(["ID0", "ID4"]));
    const patches = c.patches.length;
    // All that is asked for is attached already: no PATCH.
    await c.pod("again", "test-node", "id4");
    await c.becomes({ "again-default-id4": "Assigned" });
    expect(c.patches).toHaveLength(patches);
  });

  test.for(MACHINES)("S44 150 limit, on a $kind", async ({ machine }) => {
    const c = cluster();
    await c.node("test-node", machine);
    const names = Array.from({ length: 200 }, (_, n) => `id-${String(n).padStart(3, "0")}`);
    await Promise.all(
      names.map(async (name) => {
        await c.identity(name);
        await c.binding(name, name, "sel");
      }),
    );
    await c.pod("pod", "test-node", "sel");
    await c.mic();
    await c.becomes(Object.fromEntries(names.map((name) => [`pod-default-${name}`, "Assigned"])), 60_000);
    expect(c.held(machine)).toEqual(names);
    // ARM refuses more than 150 entries at once. A request may leave while the last of the 200 objects are being written.
    const statuses = c.micArm().flatMap(({ method, status = 0 }) => (method === "PATCH" ? [status] : []));
    expect(statuses.filter((status) => status >= 300)).toEqual([]);
    expect([2, 3]).toContain(statuses.length);
  });

  test.for(MACHINES)("S47 Existing not disturbed, on a $kind", async ({ machine }) => {
    const c = cluster();
    await c.node("test-node", machine);
    await c.simple();
    await c.mic();
    await c.becomes({ [SIMPLE]: "Assigned" });
    for (const name of ["missing-1", "missing-2"]) {
      await c.identity(name, { exists: false });
      await c.binding(name, name, name);
      await c.pod(name, "test-node", name);
    }
    await c.eventually(async () => {
      const events = (await c.events()).filter((event) => event.startsWith("Warning binding apply error"));
      for (const name of ["missing-1", "missing-2"]) expect(events.join("\n")).toContain(`for pod default/${name}`);
    });
    expect(await c.statuses()).toEqual({
      [SIMPLE]: "Assigned",
      "missing-1-default-missing-1": "Created",
      "missing-2-default-missing-2": "Created",
    });
    expect(c.held(machine)).toEqual(["identity1"]);
    // One that is made after all comes along without the other.
    c.azureIdentity("missing-1");
    await c.becomes(
      {
        [SIMPLE]: "Assigned",
        "missing-1-default-missing-1": "Assigned",
        "missing-2-default-missing-2": "Created",
      },
      60_000,
    );
  });

  test.for([
    { ...MACHINES[0]!, message: "vm is in 'Deleting' provisioning state" },
    { ...MACHINES[1]!, message: "vmss is in Deleting provisioning state" },
  ])("S50 Deleting VM/VMSS: a $kind", async ({ machine, message }) => {
    const c = cluster();
    await c.node("test-node", machine);
    c.azure.state.configure({ operationMs: 120_000 });
    await c.arm("DELETE", machine.id);
    await c.simple();
    await c.mic();
    await c.eventually(async () => expect((await c.events()).join("\n")).toContain(message));
    expect(await c.statuses()).toEqual({ [SIMPLE]: "Created" });
    expect(c.patches).toEqual([]);
    // A machine whose object says nothing about a state is patched.
    const absent = vm("no-state");
    await c.node("no-state", absent);
    c.azure.state.configure({ operationMs: 50 });
    await c.pod("other", "no-state", "test-select");
    await c.becomes({ [SIMPLE]: "Created", "other-default-test-id": "Assigned" });
  });

  test.for([
    { how: "written", swap: (path: string, text: string) => writeFile(path, text) },
    {
      how: "renamed over",
      swap: async (path: string, text: string) => {
        await writeFile(`${path}.new`, text);
        await rename(`${path}.new`, path);
      },
    },
    {
      how: "a symbolic link that is turned, as kubelet does with Secrets",
      swap: async (path: string, text: string) => {
        const folder = join(path, "../..data-2");
        await mkdir(folder);
        await writeFile(join(folder, "azure.json"), text);
        await symlink("..data-2", join(path, "../..data-tmp"));
        await rename(join(path, "../..data-tmp"), join(path, "../..data"));
      },
      linked: true,
    },
  ])(
    "S51 Config file: azure.json is $how, and MIC goes on with it without a restart",
    async ({ how, swap, linked }) => {
      const c = cluster();
      await c.node("test-node", vm("test-node"));
      await c.simple();
      const config = (aadClientSecret: string): string =>
        JSON.stringify({
          cloud: "AzureStackCloud",
          tenantId: TENANT,
          aadClientId: MIC_CLIENT.id,
          aadClientSecret,
          subscriptionId: "testSub",
          resourceGroup: "fakeGroup",
        });
      const folder = join(c.directory, how.replaceAll(/\W+/g, "-"));
      const path = join(folder, "azure.json");
      await mkdir(folder);
      if (linked === true) {
        await mkdir(join(folder, "..data-1"));
        await writeFile(join(folder, "..data-1/azure.json"), config("wrong"));
        await symlink("..data-1", join(folder, "..data"));
        await symlink("..data/azure.json", path);
      } else await writeFile(path, config("wrong"));
      const mic = await c.mic([`--cloudconfig=${path}`]);
      await c.eventually(async () => expect((await c.events()).join("\n")).toContain("AADSTS7000215"));
      expect(await c.statuses()).toEqual({ [SIMPLE]: "Created" });
      await swap(path, config(MIC_CLIENT.secret));
      expect(readFileSync(path, "utf8")).toContain(MIC_CLIENT.secret);
      await c.becomes({ [SIMPLE]: "Assigned" }, 60_000);
      // A broken one keeps the old.
      await writeFile(path, "{");
      await mic.says("cloud config");
      await c.delete("pods", "test-pod");
      await c.becomes({});
      expect(mic.isRunning).toBe(true);
      expect(mic.log).not.toContain(MIC_CLIENT.secret);
    },
  );
});
