/** How large a sandbox is. */
export interface TopologyOptions {
  /** Nodes altogether, 1 to 60. */
  readonly nodes: number;
  /** How many of them are virtual machines; the others are instances of one scale set. */
  readonly virtualMachines: number;
}

/** One node with everything that has to be known before it exists. */
export interface NodePlan {
  readonly name: string;
  /** `azure://` and the ARM id of the machine, as Azure's cloud provider writes it. */
  readonly providerId: string;
  /** ARM id of the VM or of the scale set's instance: whose IMDS this node has. */
  readonly machineId: string;
  readonly kind: "virtualMachine" | "virtualMachineScaleSet";
  /** On the fabric. */
  readonly address: string;
  readonly podCidr: string;
  /** Pods' default route; no interface carries its network, as with Calico. */
  readonly podGateway: string;
  /** `10.244.1.`, to which pods' last parts are appended. */
  readonly podPrefix: string;
  /** The link over which the node routes to its IMDS. */
  readonly imdsLink: { readonly node: string; readonly imds: string };
  /** Names of the network namespaces. */
  readonly namespace: string;
  readonly imdsNamespace: string;
  /** Part of interface names, which are short. */
  readonly index: number;
}

/** A MIC replica: a namespace of its own on the fabric. */
export interface ReplicaPlan {
  readonly name: string;
  readonly address: string;
  readonly namespace: string;
}

export interface Topology {
  readonly nodes: readonly NodePlan[];
  readonly mic: readonly ReplicaPlan[];
  readonly azure: typeof AZURE;
}

/** The emulated Azure. The quick start's manifests (deploy/demo) hold the same ids. */
export const AZURE = {
  tenantId: "00000000-0000-0000-0000-00000000f00d",
  subscriptionId: "00000000-0000-0000-0000-000000000001",
  /** Where identities and the workloads' own resources are. */
  resourceGroup: "podid-demo",
  /** Where the cluster's machines are; AKS names it so. */
  nodeResourceGroup: "MC_podid-demo_sandbox_westus2",
  location: "westus2",
  scaleSet: "aks-pool-vmss",
  micClientId: "00000000-0000-0000-0000-00000000c11c",
} as const;

export const METADATA_IP = "169.254.169.254";
/** Bridge of the fabric: the API server, ARM and Entra listen here. */
export const FABRIC_ADDRESS = "10.99.0.1";
export const KUBE_PORT = 6443;
export const LARGEST = 60;

/** The addressing plan. @throws RangeError when the numbers make no cluster */
export function planTopology({ nodes, virtualMachines }: TopologyOptions): Topology {
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > LARGEST)
    throw new RangeError(`--nodes ${nodes} is not possible: use a whole number from 1 to ${LARGEST}`);
  if (!Number.isInteger(virtualMachines) || virtualMachines < 0 || virtualMachines > nodes)
    throw new RangeError(
      `--virtual-machines ${virtualMachines} is not possible: use a whole number from 0 to --nodes (${nodes})`,
    );
  const group = `/subscriptions/${AZURE.subscriptionId}/resourceGroups/${AZURE.nodeResourceGroup}/providers/Microsoft.Compute`;
  return {
    azure: AZURE,
    mic: [1, 2].map((i) => ({ name: `mic-${i - 1}`, address: `10.99.2.${i}`, namespace: `mic-${i - 1}` })),
    nodes: Array.from({ length: nodes }, (_, at) => {
      const index = at + 1;
      const isVm = at < virtualMachines;
      const instance = at - virtualMachines;
      const name = isVm ? `aks-vm-${at}` : `${AZURE.scaleSet}${instance.toString(36).padStart(6, "0")}`;
      const machineId = isVm
        ? `${group}/virtualMachines/${name}`
        : `${group}/virtualMachineScaleSets/${AZURE.scaleSet}/virtualMachines/${instance}`;
      return {
        name,
        machineId,
        providerId: `azure://${machineId}`,
        kind: isVm ? "virtualMachine" : "virtualMachineScaleSet",
        address: `10.99.1.${index}`,
        podPrefix: `10.244.${index}.`,
        podCidr: `10.244.${index}.0/24`,
        podGateway: `10.244.${index}.1`,
        imdsLink: { node: `10.98.${index}.1`, imds: `10.98.${index}.2` },
        namespace: name,
        imdsNamespace: `imds-${name}`,
        index,
      };
    }),
  };
}
