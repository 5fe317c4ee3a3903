import { desiredRules, parseSave, planRestore } from "@podid/iptables";
import { RESOURCES, type KubeObject, type Resource } from "@podid/kube";
import type { SandboxStatus } from "../sandbox/protocol.ts";
import type { Output } from "../sandbox/shell.ts";
import { AZURE, METADATA_IP } from "../sandbox/topology.ts";
import type { Cluster } from "./cluster.ts";
import type { Facts } from "./diagnosis.ts";

/** An entry of the Azure emulator's request log, as its control API returns it. */
export interface AzureRequest {
  readonly time: number;
  readonly service: "imds" | "entra" | "arm";
  readonly operation: string;
  readonly machine?: string;
  readonly peer: string;
  readonly method: string;
  readonly path: string;
  readonly status?: number;
  readonly caller?: string;
  readonly clientId?: string;
  readonly error?: string;
}

/** Looks at everything a token request depends on. */
export async function gatherFacts(
  cluster: Cluster,
  pod: { readonly namespace: string; readonly name: string },
): Promise<Facts> {
  const list = (resource: Resource): Promise<readonly KubeObject[]> => cluster.list(resource);
  const [pods, bindings, identities, assigned, status, refusals] = await Promise.all([
    list(RESOURCES.pods),
    list(RESOURCES.azureIdentityBindings),
    list(RESOURCES.azureIdentities),
    list(RESOURCES.azureAssignedIdentities),
    cluster.control.get<SandboxStatus>("/status"),
    cluster.control.get<AzureRequest[]>("/azure/requests?service=arm&status=403"),
  ]);
  const found = pods.find(({ metadata }) => metadata.name === pod.name && metadata.namespace === pod.namespace);
  const node = textAt(found, "spec", "nodeName");
  return {
    pod: found && {
      ...pod,
      label: found.metadata.labels?.["aadpodidbinding"],
      node,
      phase: textAt(found, "status", "phase"),
      exitCode: exitCode(found),
    },
    bindings: bindings.map((each) => ({
      ...nameOf(each),
      selector: textAt(each, "spec", "selector") ?? "",
      azureIdentity: textAt(each, "spec", "azureIdentity") ?? "",
    })),
    identities: identities.map((each) => ({ ...nameOf(each), clientId: textAt(each, "spec", "clientID") ?? "" })),
    assigned: assigned
      .filter(
        (each) => textAt(each, "spec", "pod") === pod.name && textAt(each, "spec", "podNamespace") === pod.namespace,
      )
      .map((each) => ({ name: each.metadata.name, status: textAt(each, "status", "status") ?? "" })),
    processes: status.processes,
    ruleChanges: node === undefined ? [] : await ruleChanges(cluster, node),
    armRefusals: refusals.map(({ caller = "", method, path, error = "403" }) => ({ caller, method, path, error })),
    micClientId: AZURE.micClientId,
  };
}

async function ruleChanges(cluster: Cluster, node: string): Promise<readonly string[]> {
  const save = await cluster.control.post<Output>(`/nodes/${encodeURIComponent(node)}/exec`, {
    command: ["iptables-save"],
  });
  if (save.code !== 0) return [`iptables-save failed: ${save.stderr.trim()}`];
  const desired = desiredRules({ metadataIp: METADATA_IP, metadataPort: 80, targetIp: "127.0.0.1", targetPort: 2579 });
  return planRestore(desired, parseSave(save.stdout))?.changes ?? [];
}

interface ContainerState {
  readonly terminated?: { readonly exitCode: number };
}

/** Of the first container: now, or the last time that it ran. */
function exitCode(pod: KubeObject): number | undefined {
  const { containerStatuses = [] } = (pod["status"] ?? {}) as {
    containerStatuses?: readonly { readonly state?: ContainerState; readonly lastState?: ContainerState }[];
  };
  const [status] = containerStatuses;
  return (status?.state?.terminated ?? status?.lastState?.terminated)?.exitCode;
}

function nameOf(object: KubeObject): { namespace: string; name: string } {
  return { namespace: object.metadata.namespace ?? "", name: object.metadata.name };
}

export function textAt(object: unknown, ...path: readonly string[]): string | undefined {
  let value: unknown = object;
  for (const key of path)
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return typeof value === "string" && value !== "" ? value : undefined;
}
