import { API_VERSION } from "@podid/crd-types";
import type { Cluster } from "@podid/e2e/cluster";
import { clientIdOf, identityResourceId } from "@podid/e2e/cluster";
import { ResourceClient, RESOURCES } from "@podid/kube";
import { inParallel } from "./in-parallel.ts";
import { podSpec, podStatus } from "./pod-object.ts";

export interface CrowdSize {
  readonly scaleSets: number;
  /** Of each scale set. */
  readonly instances: number;
  readonly podsPerNode: number;
  readonly identities: number;
}

const IN_FLIGHT = 32;
const NAMESPACE = "default";

/** Nodes and pods that are objects alone, on scale sets of the emulated Azure; each pod is to get one identity. */
export class Crowd {
  readonly nodes: readonly string[];
  readonly pods: number;
  readonly #cluster: Cluster;
  readonly #size: CrowdSize;

  constructor(cluster: Cluster, size: CrowdSize) {
    this.#cluster = cluster;
    this.#size = size;
    this.nodes = Array.from({ length: size.scaleSets * size.instances }, (_, at) => {
      const { scaleSet, instance } = this.#machine(at);
      return `${scaleSet}${instance.toString(36).padStart(6, "0")}`;
    });
    this.pods = this.nodes.length * size.podsPerNode;
  }

  /** Scale sets and identities in Azure, and what ARM takes for a change: 0.1 s to answer, 0.5 s to do it. */
  async seedAzure(): Promise<void> {
    const { control, sandbox } = this.#cluster;
    // Beside the sandbox's own scale set, where MIC may write.
    const own = sandbox.state.nodes.find(({ kind }) => kind === "virtualMachineScaleSet")?.machineId ?? "";
    const group = own.slice(0, own.indexOf("/providers/"));
    const { scaleSets, instances, identities } = this.#size;
    await control.addToAzure({
      scaleSets: Array.from({ length: scaleSets }, (_, at) => ({
        id: `${group}/providers/Microsoft.Compute/virtualMachineScaleSets/${scaleSetName(at)}`,
        location: "westus2",
        instances,
      })),
      userAssignedIdentities: Array.from({ length: identities }, (_, at) => ({
        id: identityResourceId(identityName(at)),
        clientId: clientIdOf(identityName(at)),
      })),
    });
    await control.addAzureFault({ match: { service: "arm", method: "PATCH" }, delayMs: 100, operationMs: 500 });
    const nodes = new ResourceClient(this.#cluster.transport, RESOURCES.nodes);
    await inParallel(this.nodes.length, IN_FLIGHT, async (at) => {
      const name = this.nodes[at] ?? "";
      const { scaleSet, instance } = this.#machine(at);
      const providerID = `azure://${group}/providers/Microsoft.Compute/virtualMachineScaleSets/${scaleSet}/virtualMachines/${instance}`;
      await nodes.create({ metadata: { name, labels: { "kubernetes.io/hostname": name } }, spec: { providerID } });
    });
  }

  createIdentities(): Promise<void> {
    return inParallel(this.#size.identities, IN_FLIGHT, async (at) => {
      const name = identityName(at);
      await this.#cluster.identities.create({
        apiVersion: API_VERSION,
        kind: "AzureIdentity",
        metadata: { name, namespace: NAMESPACE },
        spec: { type: 0, resourceID: identityResourceId(name), clientID: clientIdOf(name) },
      });
    });
  }

  /** From here on there is work for MIC. */
  createBindings(): Promise<void> {
    return inParallel(this.#size.identities, IN_FLIGHT, async (at) => {
      const name = identityName(at);
      await this.#cluster.bindings.create({
        apiVersion: API_VERSION,
        kind: "AzureIdentityBinding",
        metadata: { name, namespace: NAMESPACE },
        spec: { azureIdentity: name, selector: name },
      });
    });
  }

  /** All running, as kubelets would report them: two requests each. */
  createPods(): Promise<void> {
    return inParallel(this.pods, IN_FLIGHT, (at) => this.createPod(at));
  }

  /** Also beyond the crowd's number. Pods of one identity are neighbours, so that a node has several identities. */
  async createPod(at: number): Promise<void> {
    const { pods } = this.#cluster;
    const name = `crowd-${at}`;
    const identity = this.selector(Math.floor(at / (this.pods / this.#size.identities)));
    const labels = { app: identity, aadpodidbinding: identity, "pod-template-hash": "7d4b9c6f58" };
    await pods.create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: NAMESPACE, labels },
      spec: podSpec(this.nodes[at % this.nodes.length] ?? ""),
    });
    const podIP = `10.${128 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}`;
    await pods.patch(name, NAMESPACE, {
      type: "merge",
      subresource: "status",
      body: { status: podStatus(podIP, new Date().toISOString().replace(/\.\d+Z$/, "Z")) },
    });
  }

  /** Which label value gives a pod one of the identities. */
  selector(identity: number): string {
    return identityName(identity % this.#size.identities);
  }

  #machine(node: number): { readonly scaleSet: string; readonly instance: number } {
    const { instances } = this.#size;
    return { scaleSet: scaleSetName(Math.floor(node / instances)), instance: node % instances };
  }
}

function scaleSetName(at: number): string {
  return `aks-crowd${String(at).padStart(2, "0")}-vmss`;
}

function identityName(at: number): string {
  return `crowd-${String(at).padStart(3, "0")}`;
}
