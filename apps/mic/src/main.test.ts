import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { resourceId, vmProviderId, vmssProviderId } from "../test/cluster.ts";
import type { Cluster } from "../test/cluster.ts";
import { get, MicProcesses, SECRET } from "../test/mic-processes.ts";
import { until } from "../test/until.ts";

// Processes that run from sources take their time to start on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let processes: MicProcesses;
let cluster: Cluster;

beforeAll(async () => {
  processes = await MicProcesses.start();
  ({ cluster } = processes);
});
afterAll(() => processes.close());

describe("the process over the wire", () => {
  test("S10, S39, S32: assigns on a VM and a scale set, releases, keeps the system-assigned identity, and leaves politely", async () => {
    await cluster.node("vm", vmProviderId("vm"));
    await cluster.node("vmss-0", vmssProviderId("vmss", 0));
    await cluster.node("vmss-1", vmssProviderId("vmss", 1));
    for (const name of ["identity1", "identity2"]) {
      await cluster.identity(name, { resourceID: resourceId(name) });
      await cluster.binding(name, name, name);
    }
    await cluster.pod("on-vm", "vm", "identity1");
    await cluster.pod("on-vmss-0", "vmss-0", "identity1");
    await cluster.pod("also-on-vmss-1", "vmss-1", "identity1");
    await cluster.pod("other-on-vmss-1", "vmss-1", "identity2");

    const mic = processes.run();
    const probe = await mic.probe();
    await until(async () => expect(await get(probe, "/healthz")).toBe("Active"));
    await until(async () =>
      expect(await cluster.statuses()).toEqual({
        "on-vm-default-identity1": "Assigned",
        "on-vmss-0-default-identity1": "Assigned",
        "also-on-vmss-1-default-identity1": "Assigned",
        "other-on-vmss-1-default-identity2": "Assigned",
      }),
    );
    expect([processes.attached(vmProviderId("vm")), processes.attached(vmssProviderId("vmss", 0))]).toEqual([
      ["identity1"],
      ["identity1", "identity2"],
    ]);
    expect(await get(probe, "/readyz")).toContain("ok");

    for (const pod of ["on-vm", "on-vmss-0", "other-on-vmss-1"]) await cluster.delete("pod", pod);
    await until(async () =>
      expect(await cluster.statuses()).toEqual({ "also-on-vmss-1-default-identity1": "Assigned" }),
    );
    expect([processes.attached(vmProviderId("vm")), processes.attached(vmssProviderId("vmss", 0))]).toEqual([
      [],
      ["identity1"],
    ]);
    const vm = processes.azure.state.machineResource(vmProviderId("vm").slice("azure://".length));
    expect(vm?.identity.system).toBeDefined();

    mic.child.kill("SIGTERM");
    expect(await mic.ended).toBe(0);
    expect((await cluster.find("lease", "aad-pod-identity-mic", "podid"))?.["spec"]).toMatchObject({
      holderIdentity: "",
    });
    expect(mic.log()).not.toContain(SECRET);
  });

  test("a credential that Entra refuses: the object stays Created and an event says why", async () => {
    await cluster.pod("later", "vm", "identity1");
    processes.environment["CLIENT_SECRET"] = "wrong";
    const mic = processes.run();
    await mic.probe();
    await until(async () => expect((await cluster.events()).join("\n")).toContain("AADSTS7000215"));
    expect(await cluster.statuses()).toMatchObject({ "later-default-identity1": "Created" });
    mic.child.kill("SIGTERM");
    expect(await mic.ended).toBe(0);
  });

  test("the lease is renewed however many writes wait", async () => {
    const many = Array.from({ length: 100 }, (_, at) => `one-of-many-${at}`);
    await Promise.all(many.map((name) => cluster.pod(name, "vm", "identity2")));
    // More writes than there are connections, and together slower than the lease lasts.
    const remove = cluster.emulator.faults.add({
      verb: "create",
      resource: "azureassignedidentities",
      latencyMs: 1500,
    });
    const mic = processes.run("--createDeleteBatch=100", "--leader-election-duration=8s");
    await mic.probe();
    await until(async () => expect(Object.keys(await cluster.statuses()).length).toBeGreaterThanOrEqual(many.length));
    remove();
    expect(mic.log()).toContain("started leading");
    expect(mic.log()).not.toContain("stopped leading");
    mic.child.kill("SIGTERM");
    expect(await mic.ended).toBe(0);
  });

  test("what is wrong with the command line is said at once, all of it", async () => {
    const mic = processes.run("--syncRetryDuration=x", "--nonsense");
    expect(await mic.ended).toBe(1);
    expect(mic.log()).toMatch(/--syncRetryDuration.*\n.*--nonsense/);
  });
});
