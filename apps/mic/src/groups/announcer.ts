import { API_VERSION } from "@podid/crd-types";
import type { Assignment } from "@podid/matcher";
import type { EventRecorder, KubeObject } from "@podid/kube";
import type { Logger } from "@podid/service";
import type { AssignedRecord } from "../assigned/record.ts";
import type { Failure } from "./failure.ts";

const NODE = "node ";

/** Tells operators what happened to an assignment: upstream's event reasons and messages, and its log lines. A failure is told once until it changes. */
export class Announcer {
  readonly #events: Pick<EventRecorder, "record">;
  readonly #log: Logger;
  readonly #told = new Map<string, string>();

  constructor(events: Pick<EventRecorder, "record">, log: Logger) {
    this.#events = events;
    this.#log = log;
  }

  applied(assignment: Assignment, record: AssignedRecord): void {
    const { identity, binding } = assignment;
    this.#told.delete(record.key);
    this.#log.info(
      { pod: podOf(record), node: record.nodeName },
      `identity ${identity.namespace}/${identity.name} has successfully been assigned to node ${record.nodeName}`,
    );
    this.#onBinding(
      record,
      "Normal",
      "binding applied",
      `Binding ${binding.name} applied on node ${record.nodeName} for pod ${record.name}`,
    );
  }

  applyFailed({ binding }: Assignment, record: AssignedRecord, { message: error }: Failure): void {
    if (this.#told.get(record.key) === error) return;
    this.#told.set(record.key, error);
    const message = `failed to apply binding ${binding.namespace}/${binding.name} node ${record.nodeName} for pod ${podOf(record)}, error: ${error}`;
    this.#log.error({ pod: podOf(record), node: record.nodeName }, message);
    this.#onBinding(record, "Warning", "binding apply error", message);
  }

  createFailed({ pod, binding }: Assignment, key: string, error: unknown): void {
    const message = `failed to create AzureAssignedIdentity ${key} for pod ${pod.namespace}/${pod.name}, error: ${String(error)}`;
    this.#log.error({ pod: `${pod.namespace}/${pod.name}` }, message);
    this.#events.record({
      involvedObject: reference("AzureIdentityBinding", binding),
      type: "Warning",
      reason: "binding apply error",
      message,
    });
  }

  updateFailed(record: AssignedRecord, error: unknown): void {
    const message = `failed to update AzureAssignedIdentity ${record.key} for pod ${podOf(record)}, error: ${String(error)}`;
    this.#log.error({ pod: podOf(record) }, message);
    this.#onBinding(record, "Warning", "binding apply error", message);
  }

  statusFailed(record: AssignedRecord, status: string, error: unknown): void {
    const message = `failed to update AzureAssignedIdentity ${record.key} status to ${status} for pod ${podOf(record)}, error: ${String(error)}`;
    this.#log.error({ pod: podOf(record) }, message);
    this.#events.record({
      involvedObject: reference("AzureAssignedIdentity", record),
      type: "Warning",
      reason: "status update error",
      message,
    });
  }

  removed(record: AssignedRecord): void {
    this.#onBinding(
      record,
      "Normal",
      "binding removed",
      `Binding ${record.binding.name} removed from node ${record.nodeName} for pod ${record.podName}`,
    );
  }

  removeFailed(record: AssignedRecord, error: unknown): void {
    const message = `failed to remove AzureIdentityBinding ${record.binding.namespace}/${record.binding.name} from node ${record.nodeName} for pod ${podOf(record)}, error: ${String(error)}`;
    this.#log.error({ pod: podOf(record) }, message);
    this.#onBinding(record, "Warning", "binding remove error", message);
  }

  /** A node on which pods wait for identities cannot have any. */
  nodeUnusable(nodeName: string, problem: string): void {
    const key = `${NODE}${nodeName}`;
    if (this.#told.get(key) === problem) return;
    this.#told.set(key, problem);
    this.#log.warn({ node: nodeName }, problem);
    this.#events.record({
      // Like kubelet's events of a node, whose UID is the node's name: `kubectl describe node` looks for it.
      involvedObject: { apiVersion: "v1", kind: "Node", metadata: { name: nodeName, uid: nodeName } },
      type: "Warning",
      reason: "InvalidProviderID",
      message: `${problem}. Identities of pods on this node are not attached`,
    });
  }

  /** Forgets what was told of objects and nodes that are gone. */
  retain(isKnown: (what: { readonly object: string } | { readonly node: string }) => boolean): void {
    for (const key of this.#told.keys()) {
      const what = key.startsWith(NODE) ? { node: key.slice(NODE.length) } : { object: key };
      if (!isKnown(what)) this.#told.delete(key);
    }
  }

  /** The object is gone, and what was told about it with it. */
  forget({ key }: AssignedRecord): void {
    this.#told.delete(key);
  }

  #onBinding({ binding }: AssignedRecord, type: "Normal" | "Warning", reason: string, message: string): void {
    this.#events.record({ involvedObject: reference("AzureIdentityBinding", binding), type, reason, message });
  }
}

function podOf({ podNamespace, podName }: AssignedRecord): string {
  return `${podNamespace}/${podName}`;
}

function reference(
  kind: string,
  { name, namespace, uid }: { readonly name: string; readonly namespace: string; readonly uid: string | undefined },
): KubeObject {
  return { apiVersion: API_VERSION, kind, metadata: { name, namespace, ...(uid !== undefined && { uid }) } };
}
