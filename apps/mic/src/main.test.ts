import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator } from "@podid/azure-emulator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, resourceId, vmProviderId, vmssProviderId } from "../test/cluster.ts";
import { until } from "../test/until.ts";

const SUBSCRIPTION = "00000000-0000-0000-0000-000000000000";
const TENANT = "72f988bf-0000-0000-0000-000000000000";
const CLIENT_ID = "11111111-0000-0000-0000-000000000001";
const SECRET = "do not print me";

let cluster: Cluster;
let azure: AzureEmulator;
let folder: string;
let environment: NodeJS.ProcessEnv;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mic-"));
  cluster = await Cluster.start();
  const arm = (provider: string): string => provider.slice("azure://".length);
  azure = await startAzureEmulator({
    caDirectory: folder,
    seed: {
      tenants: [{ id: TENANT }],
      apps: [{ clientId: CLIENT_ID, tenantId: TENANT, secrets: [SECRET] }],
      subscriptions: [{ id: SUBSCRIPTION, tenantId: TENANT }],
      roleAssignments: [{ principal: CLIENT_ID, role: "Contributor", scope: `/subscriptions/${SUBSCRIPTION}` }],
      userAssignedIdentities: ["identity1", "identity2"].map((name) => ({ id: resourceId(name) })),
      virtualMachines: [{ id: arm(vmProviderId("vm")), systemAssigned: true }],
      scaleSets: [{ id: arm(vmssProviderId("vmss", 0)).replace(/\/virtualMachines\/0$/, ""), instances: 2 }],
      settings: { operationMs: 50 },
    },
  });
  const cloud = join(folder, "cloud.json");
  const kubeconfig = join(folder, "kubeconfig");
  const endpoint = `https://localhost:${azure.port}/`;
  await writeFile(
    cloud,
    JSON.stringify({ name: "Emulated", activeDirectoryEndpoint: endpoint, resourceManagerEndpoint: endpoint }),
  );
  await writeFile(kubeconfig, cluster.emulator.kubeconfig());
  environment = {
    PATH: process.env["PATH"],
    MIC_POD_NAMESPACE: "podid",
    NODE_EXTRA_CA_CERTS: azure.caFile,
    CLOUD: "AzureStackCloud",
    AZURE_ENVIRONMENT_FILEPATH: cloud,
    TENANT_ID: TENANT,
    CLIENT_ID,
    CLIENT_SECRET: SECRET,
    SUBSCRIPTION_ID: SUBSCRIPTION,
    RESOURCE_GROUP: "rg",
    KUBECONFIG_FOR_TEST: kubeconfig,
  };
});

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await cluster.close();
  await azure.close();
  await rm(folder, { recursive: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly log: () => string;
  readonly probe: () => Promise<number>;
  readonly ended: Promise<number | null>;
}

function run(...flags: readonly string[]): Running {
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, "main.ts"),
      `--kubeconfig=${environment["KUBECONFIG_FOR_TEST"]}`,
      "-probe-host",
      "127.0.0.1",
      "-http-probe-port=0",
      "-prometheus-port=0",
      "--log-format=json",
      "-v=1",
      ...flags,
    ],
    { env: environment, stdio: ["ignore", "pipe", "pipe"] },
  );
  children.push(child);
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const lines = (): { msg?: string; port?: number }[] =>
    log
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as object);
  const port = (message: string): Promise<number> =>
    until(() => {
      const found = lines().find(({ msg }) => msg?.startsWith(message))?.port;
      if (found === undefined) throw new Error(`not yet in ${log}`);
      return found;
    });
  return {
    child,
    log: () => log,
    probe: () => port("initialized health probe"),
    ended: new Promise((resolve) => child.once("exit", resolve)),
  };
}

async function get(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return response.text();
}

function attached(providerId: string): string[] {
  const machine = azure.state.machineResource(
    providerId.slice("azure://".length).replace(/(virtualMachineScaleSets\/[^/]+)\/.*/, "$1"),
  );
  return [...(machine?.identity.userAssigned.keys() ?? [])].map((key) => key.slice(key.lastIndexOf("/") + 1)).sort();
}

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

    const mic = run();
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
    expect([attached(vmProviderId("vm")), attached(vmssProviderId("vmss", 0))]).toEqual([
      ["identity1"],
      ["identity1", "identity2"],
    ]);
    expect(await get(probe, "/readyz")).toContain("ok");

    for (const pod of ["on-vm", "on-vmss-0", "other-on-vmss-1"]) await cluster.delete("pod", pod);
    await until(async () =>
      expect(await cluster.statuses()).toEqual({ "also-on-vmss-1-default-identity1": "Assigned" }),
    );
    expect([attached(vmProviderId("vm")), attached(vmssProviderId("vmss", 0))]).toEqual([[], ["identity1"]]);
    const vm = azure.state.machineResource(vmProviderId("vm").slice("azure://".length));
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
    environment["CLIENT_SECRET"] = "wrong";
    const mic = run();
    await until(async () => expect((await cluster.events()).join("\n")).toContain("AADSTS7000215"));
    expect(await cluster.statuses()).toMatchObject({ "later-default-identity1": "Created" });
    mic.child.kill("SIGTERM");
    expect(await mic.ended).toBe(0);
  });

  test("the lease is renewed however many writes wait", async () => {
    const many = Array.from({ length: 100 }, (_, at) => `one-of-many-${at}`);
    await Promise.all(many.map((name) => cluster.pod(name, "vm", "identity2")));
    // More writes than there are connections, and together slower than the lease lasts.
    const remove = cluster.emulator.faults.add({ verb: "create", resource: "azureassignedidentities", latencyMs: 400 });
    const mic = run("--createDeleteBatch=100", "--leader-election-duration=2s");
    await until(async () => expect(Object.keys(await cluster.statuses()).length).toBeGreaterThanOrEqual(many.length));
    remove();
    expect(mic.log()).toContain("started leading");
    expect(mic.log()).not.toContain("stopped leading");
    mic.child.kill("SIGTERM");
    expect(await mic.ended).toBe(0);
  });

  test("what is wrong with the command line is said at once, all of it", async () => {
    const mic = run("--syncRetryDuration=x", "--nonsense");
    expect(await mic.ended).toBe(1);
    expect(mic.log()).toMatch(/--syncRetryDuration.*\n.*--nonsense/);
  });
});
