import { KubeError, RESOURCES } from "@podid/kube";
import type { KubeObject } from "@podid/kube";
import type { HelmCluster } from "../chart/helm-cluster.ts";

export const SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001";
const GROUP = `${SUBSCRIPTION}/resourceGroups/nodes/providers/Microsoft.Compute/virtualMachines`;
export const PROVIDER_ID = `azure://${GROUP}/vm-1`;
const API_VERSION = "aadpodidentity.k8s.io/v1";
const FINALIZER = "azureassignedidentity.finalizers.aadpodidentity.k8s.io";

export function identityId(name: string): string {
  return `${SUBSCRIPTION}/resourcegroups/group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

export function clientIdOf(name: string): string {
  return `00000000-0000-0000-0000-0000000${Buffer.from(name.padEnd(5, "-")).toString("hex").slice(0, 5)}`;
}

/** An AzureIdentity with a binding whose selector is its name. */
export function identity(name: string, namespace: string): KubeObject[] {
  return [
    {
      apiVersion: API_VERSION,
      kind: "AzureIdentity",
      metadata: { name, namespace },
      spec: { type: 0, resourceID: identityId(name), clientID: clientIdOf(name) },
    },
    {
      apiVersion: API_VERSION,
      kind: "AzureIdentityBinding",
      metadata: { name: `${name}-binding`, namespace },
      spec: { azureIdentity: name, selector: name },
    },
  ];
}

/** An AzureAssignedIdentity as aad-pod-identity's MIC leaves it: full copies, its finalizer, and the state if there is one. */
export function assigned(pod: string, name: string, namespace: string, state: string | undefined): KubeObject {
  const [azureIdentityRef, azureBindingRef] = identity(name, namespace);
  return {
    apiVersion: API_VERSION,
    kind: "AzureAssignedIdentity",
    metadata: {
      name: `${pod}-${namespace}-${name}`,
      namespace: "default",
      labels: { nodename: "vm-1" },
      finalizers: [FINALIZER],
    },
    spec: { azureIdentityRef, azureBindingRef, pod, podNamespace: namespace, nodename: "vm-1" },
    status: { ...(state !== undefined && { status: state }), availableReplicas: 1 },
  };
}

/** A pod that runs on the one node. */
export async function runPod(cluster: HelmCluster, name: string, namespace: string, selector: string): Promise<void> {
  await cluster.of(RESOURCES.pods).create({
    metadata: { name, namespace, labels: { aadpodidbinding: selector } },
    spec: { nodeName: "vm-1", containers: [{ name: "main", image: "registry.example/pause:1" }] },
  });
}

/** AzureAssignedIdentities: name → state. */
export async function states(cluster: HelmCluster): Promise<Record<string, string>> {
  const { items } = await cluster.of(RESOURCES.azureAssignedIdentities).list();
  return Object.fromEntries(
    items.map(({ metadata, ...rest }) => [
      metadata.name,
      (rest["status"] as { status?: string } | undefined)?.status ?? "",
    ]),
  );
}

/** @returns the uid; undefined when there is no such object */
export async function uidOf(
  cluster: HelmCluster,
  resource: Parameters<HelmCluster["of"]>[0],
  name: string,
  namespace?: string,
): Promise<string | undefined> {
  try {
    return (await cluster.of(resource).get(name, namespace)).metadata.uid;
  } catch (error) {
    if (KubeError.is(error, 404)) return undefined;
    throw error;
  }
}
