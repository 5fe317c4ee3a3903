import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import type { AzureAssignedIdentity } from "@podid/crd-types";
import { KubeError, ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeObject, KubeTransport } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { startKubeEmulator } from "@podid/kube-emulator";
import type { KubeEmulator } from "@podid/kube-emulator";

const SUBSCRIPTION = "00000000-0000-0000-0000-000000000000";

/** RID(x) of the scenarios. */
export function resourceId(name: string): string {
  return `/subscriptions/${SUBSCRIPTION}/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

export function vmProviderId(name: string, resourceGroup = "rg"): string {
  return `azure:///subscriptions/${SUBSCRIPTION}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/virtualMachines/${name}`;
}

export function vmssProviderId(name: string, instance: number, resourceGroup = "rg"): string {
  return `azure:///subscriptions/${SUBSCRIPTION}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/virtualMachineScaleSets/${name}/virtualMachines/${instance}`;
}

const KINDS = {
  pod: RESOURCES.pods,
  node: RESOURCES.nodes,
  identity: RESOURCES.azureIdentities,
  binding: RESOURCES.azureIdentityBindings,
  assigned: RESOURCES.azureAssignedIdentities,
  event: RESOURCES.events,
  configMap: RESOURCES.configMaps,
  lease: RESOURCES.leases,
} as const;

export type ClusterKind = keyof typeof KINDS;

/** An API server in this process and the objects that the scenarios speak of. */
export class Cluster {
  readonly emulator: KubeEmulator;
  readonly transport: KubeTransport;
  static async start(crds: readonly object[] = CUSTOM_RESOURCE_DEFINITIONS): Promise<Cluster> {
    const emulator = await startKubeEmulator({ crds });
    const cluster = new Cluster(emulator);
    await cluster.#client("configMap").list();
    await new ResourceClient(cluster.transport, RESOURCES.namespaces).create({ metadata: { name: "podid" } });
    return cluster;
  }

  private constructor(emulator: KubeEmulator) {
    this.emulator = emulator;
    this.transport = this.newTransport();
  }

  /** A connection of its own, as another process would have. */
  newTransport(): KubeTransport {
    return transportFromKubeConfig(parseNodeKubeConfig(this.emulator.kubeconfig()));
  }

  node(name: string, providerID: string): Promise<KubeObject> {
    return this.#client("node").create({ metadata: { name }, spec: { providerID } });
  }

  identity(name: string, spec: object, metadata: object = {}): Promise<KubeObject> {
    return this.#client("identity").create({
      metadata: { name, namespace: "default", ...metadata },
      spec: { type: 0, clientID: `client-${name}`, ...spec },
    });
  }

  binding(name: string, azureIdentity: string, selector: string, metadata: object = {}): Promise<KubeObject> {
    return this.#client("binding").create({
      metadata: { name, namespace: "default", ...metadata },
      spec: { azureIdentity, selector },
    });
  }

  pod(name: string, nodeName: string, selector: string, namespace = "default"): Promise<KubeObject> {
    return this.#client("pod").create({
      metadata: { name, namespace, labels: { aadpodidbinding: selector } },
      spec: { nodeName, containers: [{ name: "main", image: "busybox" }] },
    });
  }

  setPhase(pod: string, phase: string): Promise<KubeObject> {
    return this.#client("pod").patch(pod, "default", {
      type: "merge",
      body: { status: { phase } },
      subresource: "status",
    });
  }

  patchStatus(kind: ClusterKind, name: string, status: object, namespace = "default"): Promise<KubeObject> {
    return this.#client(kind).patch(name, namespace, { type: "merge", body: { status }, subresource: "status" });
  }

  /** Deletes at once, without a grace period. */
  async delete(kind: ClusterKind, name: string, namespace = "default"): Promise<void> {
    await this.#client(kind).delete(name, kind === "node" ? undefined : namespace, { gracePeriodSeconds: 0 });
  }

  merge(kind: ClusterKind, name: string, body: object, namespace = "default"): Promise<KubeObject> {
    return this.#client(kind).patch(name, kind === "node" ? undefined : namespace, { type: "merge", body });
  }

  create(kind: ClusterKind, object: KubeObject): Promise<KubeObject> {
    return this.#client(kind).create(object);
  }

  async find(kind: ClusterKind, name: string, namespace = "default"): Promise<KubeObject | undefined> {
    try {
      return await this.#client(kind).get(name, kind === "node" ? undefined : namespace);
    } catch (error) {
      if (KubeError.is(error, 404)) return undefined;
      throw error;
    }
  }

  async list(kind: ClusterKind): Promise<readonly KubeObject[]> {
    return (await this.#client(kind).list()).items;
  }

  /** How many writes the API server was asked for. */
  writes(): number {
    return this.emulator.audit.entries.filter(({ verb }) => !["get", "list", "watch"].includes(verb)).length;
  }

  /** The ConfigMaps of MIC's ledgers. */
  async ledgers(): Promise<readonly KubeObject[]> {
    return (await this.list("configMap")).filter(({ metadata }) => metadata.labels?.["podid.dev/ledger"] === "true");
  }

  async assigned(): Promise<AzureAssignedIdentity[]> {
    return (await this.list("assigned")) as unknown as AzureAssignedIdentity[];
  }

  /** `name: status` of every AzureAssignedIdentity. */
  async statuses(): Promise<Record<string, string>> {
    return Object.fromEntries(
      (await this.assigned()).map(({ metadata, status }) => [metadata.name, status?.status ?? ""]),
    );
  }

  /** `reason: message` of every event. */
  async events(): Promise<string[]> {
    return (await this.list("event")).map(
      (event) => `${String(event["type"])} ${String(event["reason"])}: ${String(event["message"])}`,
    );
  }

  async close(): Promise<void> {
    await this.transport.close();
    await this.emulator.close();
  }

  #client(kind: ClusterKind): ResourceClient {
    return new ResourceClient(this.transport, KINDS[kind]);
  }
}
