import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator } from "@podid/azure-emulator";
import { Cluster, resourceId, vmProviderId, vmssProviderId } from "./cluster.ts";
import { until } from "./until.ts";

const SUBSCRIPTION = "00000000-0000-0000-0000-000000000000";
const TENANT = "72f988bf-0000-0000-0000-000000000000";
const CLIENT_ID = "11111111-0000-0000-0000-000000000001";

/** MIC's secret, which must not be in any log. */
export const SECRET = "do not print me";

export interface MicProcess {
  readonly child: ChildProcess;
  readonly log: () => string;
  /** Port of its probes. */
  readonly probe: () => Promise<number>;
  /** Port of its metrics. */
  readonly metrics: () => Promise<number>;
  /** What `/healthz` says. */
  readonly healthz: () => Promise<string>;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

/** An API server, an Azure with a VM `vm`, a scale set `vmss` of two and identities `identity1` and `identity2`, and MIC's processes. */
export class MicProcesses {
  readonly cluster: Cluster;
  readonly azure: AzureEmulator;
  readonly environment: NodeJS.ProcessEnv;
  readonly #folder: string;
  readonly #kubeconfig: string;
  readonly #children: ChildProcess[] = [];

  static async start(): Promise<MicProcesses> {
    const folder = await mkdtemp(join(tmpdir(), "mic-"));
    const cluster = await Cluster.start();
    const arm = (provider: string): string => provider.slice("azure://".length);
    const azure = await startAzureEmulator({
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
    return new MicProcesses(cluster, azure, folder, kubeconfig, {
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
    });
  }

  private constructor(
    cluster: Cluster,
    azure: AzureEmulator,
    folder: string,
    kubeconfig: string,
    environment: NodeJS.ProcessEnv,
  ) {
    this.cluster = cluster;
    this.azure = azure;
    this.#folder = folder;
    this.#kubeconfig = kubeconfig;
    this.environment = environment;
  }

  run(...flags: readonly string[]): MicProcess {
    const child = spawn(
      process.execPath,
      [
        join(import.meta.dirname, "../src/main.ts"),
        `--kubeconfig=${this.#kubeconfig}`,
        "-probe-host",
        "127.0.0.1",
        "-http-probe-port=0",
        "-prometheus-port=0",
        "--log-format=json",
        "--start-jitter=0",
        "-v=1",
        ...flags,
      ],
      { env: this.environment, stdio: ["ignore", "pipe", "pipe"] },
    );
    this.#children.push(child);
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
    const probe = (): Promise<number> => port("initialized health probe");
    return {
      child,
      log: () => log,
      probe,
      metrics: () => port("registered and exported metrics"),
      healthz: async () => get(await probe(), "/healthz"),
      ended: new Promise((resolve) => child.once("exit", resolve)),
    };
  }

  /** Names of the identities that a machine holds. */
  attached(providerId: string): string[] {
    const machine = this.azure.state.machineResource(
      providerId.slice("azure://".length).replace(/(virtualMachineScaleSets\/[^/]+)\/.*/, "$1"),
    );
    return [...(machine?.identity.userAssigned.keys() ?? [])].map((key) => key.slice(key.lastIndexOf("/") + 1)).sort();
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await this.cluster.close();
    await this.azure.close();
    await rm(this.#folder, { recursive: true });
  }
}

export async function get(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return response.text();
}
