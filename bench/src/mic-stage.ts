import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator, LogEntry, Seed } from "@podid/azure-emulator";
import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { parseKubeConfig } from "@podid/kube/kubeconfig";
import { startKubeEmulator } from "@podid/kube-emulator";
import type { AuditEntry, KubeEmulator } from "@podid/kube-emulator";
import { bundleApp } from "@podid/tools/bundle";
import { ShippedProcess } from "./shipped-process.ts";

export const SUBSCRIPTION = "00000000-0000-0000-0000-000000000001";
export const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/MC_bench`;
const TENANT = "00000000-0000-0000-0000-0000000000aa";
const MIC_CLIENT = "00000000-0000-0000-0000-0000000000bb";
const SECRET = "not-a-secret";
const NAMESPACE = "kube-system";
const ACCOUNT = "podid-mic";
const USER = `system:serviceaccount:${NAMESPACE}:${ACCOUNT}`;

export function scaleSetId(name: string): string {
  return `${GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/${name}`;
}

export function identityId(name: string): string {
  return `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

/** An emulated API server, an emulated Azure over TLS, and MIC as shipped in a process of its own. */
export class MicStage {
  readonly kube: KubeEmulator;
  readonly azure: AzureEmulator;
  readonly transport: KubeTransport;
  readonly #directory: string;
  readonly #bundle: string;
  readonly #token: string;
  readonly #mics: ShippedProcess[] = [];

  private constructor(o: {
    kube: KubeEmulator;
    azure: AzureEmulator;
    directory: string;
    bundle: string;
    token: string;
  }) {
    this.kube = o.kube;
    this.azure = o.azure;
    this.#directory = o.directory;
    this.#bundle = o.bundle;
    this.#token = o.token;
    this.transport = transportFromKubeConfig(parseKubeConfig(o.kube.kubeconfig()));
  }

  static async start(seed: Seed): Promise<MicStage> {
    const directory = mkdtempSync(join(tmpdir(), "podid-bench-"));
    const bundle = await bundleApp("mic");
    const kube = await startKubeEmulator({ crds: CUSTOM_RESOURCE_DEFINITIONS });
    const azure = await startAzureEmulator({
      caDirectory: directory,
      seed: {
        tenants: [{ id: TENANT }],
        apps: [{ clientId: MIC_CLIENT, tenantId: TENANT, secrets: [SECRET] }],
        subscriptions: [{ id: SUBSCRIPTION, tenantId: TENANT }],
        roleAssignments: [{ principal: MIC_CLIENT, role: "Contributor", scope: `/subscriptions/${SUBSCRIPTION}` }],
        ...seed,
      },
    });
    const token = await kube.serviceAccountToken(NAMESPACE, ACCOUNT);
    return new MicStage({ kube, azure, directory, bundle, token });
  }

  of(resource: keyof typeof RESOURCES): ResourceClient {
    return new ResourceClient(this.transport, RESOURCES[resource]);
  }

  /** Starts MIC. @param server where its API server is, if not the emulator itself */
  mic(flags: readonly string[] = [], server?: string): ShippedProcess {
    const kubeconfig = join(this.#directory, `kubeconfig-${this.#mics.length}`);
    const text = this.kube.kubeconfig(server).replaceAll(this.kube.adminToken, this.#token);
    writeFileSync(
      kubeconfig,
      server?.startsWith("http:") === true
        ? text.replace(/certificate-authority-data: \S+/, "insecure-skip-tls-verify: true")
        : text,
    );
    const endpoint = `https://localhost:${this.azure.port}/`;
    const cloud = join(this.#directory, "cloud.json");
    writeFileSync(
      cloud,
      JSON.stringify({ name: "Emulated", activeDirectoryEndpoint: endpoint, resourceManagerEndpoint: endpoint }),
    );
    const mic = new ShippedProcess(this.#bundle, [`--kubeconfig=${kubeconfig}`, ...flags], {
      MIC_POD_NAMESPACE: NAMESPACE,
      NODE_EXTRA_CA_CERTS: this.azure.caFile ?? "",
      CLOUD: "AzureStackCloud",
      AZURE_ENVIRONMENT_FILEPATH: cloud,
      TENANT_ID: TENANT,
      CLIENT_ID: MIC_CLIENT,
      CLIENT_SECRET: SECRET,
    });
    this.#mics.push(mic);
    return mic;
  }

  /** What MIC asked of ARM so far, oldest first; signing in is not counted. */
  armRequests(): readonly LogEntry[] {
    return this.azure.requests.entries({ service: "arm" });
  }

  /** What MIC asked of the API server so far, oldest first. */
  kubeRequests(): readonly AuditEntry[] {
    return this.kube.audit.find({ user: USER });
  }

  async close(): Promise<void> {
    await Promise.all(this.#mics.map((mic) => mic.end()));
    await this.transport.close();
    await Promise.all([this.kube.close(), this.azure.close()]);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
