import { KubeError, ResourceClient, RESOURCES, type KubeTransport } from "@podid/kube";
import { nodeLabels } from "./scheduler.ts";
import type { NodePlan } from "./topology.ts";

const CAPACITY = { cpu: "2", memory: "8Gi", pods: "110" };

/** Makes the Node object and reports it ready, once: no node controller is there that would miss a heartbeat. */
export async function registerNode(transport: KubeTransport, node: NodePlan): Promise<void> {
  const nodes = new ResourceClient(transport, RESOURCES.nodes);
  const labels = nodeLabels(node);
  const { name, providerId: providerID, podCidr: podCIDR } = node;
  await nodes
    .create({ metadata: { name, labels }, spec: { providerID, podCIDR, podCIDRs: [podCIDR] } })
    .catch((error: unknown) => {
      if (!(error instanceof KubeError && error.status === 409)) throw error;
    });
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const status = {
    addresses: [
      { type: "InternalIP", address: node.address },
      { type: "Hostname", address: name },
    ],
    capacity: CAPACITY,
    allocatable: CAPACITY,
    conditions: [
      {
        type: "Ready",
        status: "True",
        reason: "KubeletReady",
        message: "the sandbox runs this node",
        lastHeartbeatTime: now,
        lastTransitionTime: now,
      },
    ],
    nodeInfo: {
      kubeletVersion: "v1.35.0-sandbox",
      osImage: "podid sandbox",
      operatingSystem: "linux",
      architecture: labels["kubernetes.io/arch"],
      containerRuntimeVersion: "sandbox://0.1.0",
      kernelVersion: "",
      kubeProxyVersion: "",
      machineID: "",
      systemUUID: "",
      bootID: "",
    },
  };
  await nodes.patch(name, undefined, { type: "merge", subresource: "status", body: { status } });
  // A real API server's admission taints a new node as not ready; the node controller, which would take that back, is not there.
  await nodes.patch(name, undefined, { type: "merge", body: { spec: { taints: null } } });
}
