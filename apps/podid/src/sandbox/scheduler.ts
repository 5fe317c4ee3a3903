import type { Pod } from "./pod-objects.ts";
import type { NodePlan } from "./topology.ts";

/** Labels that every node of the sandbox carries. */
export function nodeLabels(node: NodePlan): Record<string, string> {
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  return {
    "kubernetes.io/hostname": node.name,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": arch,
    "kubernetes.io/role": "agent",
    agentpool: node.kind === "virtualMachine" ? "vm" : "pool",
  };
}

/** The node with the fewest pods among those that the pod's selector allows; the first of equals. */
export function chooseNode(
  pod: Pod,
  nodes: readonly NodePlan[],
  podsOf: (node: NodePlan) => number,
): NodePlan | undefined {
  const wanted = Object.entries(pod.spec.nodeSelector ?? {});
  let best: NodePlan | undefined;
  for (const node of nodes) {
    const labels = nodeLabels(node);
    if (!wanted.every(([name, value]) => labels[name] === value)) continue;
    if (best === undefined || podsOf(node) < podsOf(best)) best = node;
  }
  return best;
}
