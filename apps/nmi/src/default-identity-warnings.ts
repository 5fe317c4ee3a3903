import type { Exchange } from "@podid/imds-proxy";
import type { EventRecorder } from "@podid/kube";

const REASON = "AmbiguousIdentity";
const MOST_PODS = 1_024;

/**
 * A pod with several identities that asks for none by name gets the same one every time, but perhaps not the one it
 * meant. It is told by a warning event, once for each identity that it got so.
 */
export class DefaultIdentityWarnings {
  readonly #events: Pick<EventRecorder, "record">;
  /** Pod UID → identity UID. */
  readonly #told = new Map<string, string>();

  constructor(events: Pick<EventRecorder, "record">) {
    this.#events = events;
  }

  exchange({ facts, request }: Exchange): void {
    if (facts?.outcome !== "token" || (facts.others ?? 0) === 0) return;
    const { pod, identity, others } = facts;
    if (pod === undefined || identity === undefined || this.#told.get(pod.uid) === identity.uid) return;
    const asked = request.kind === "host-token" ? request.request : request;
    if (asked.kind !== "token" || Object.keys(asked.requested).length > 0) return;
    if (this.#told.size >= MOST_PODS) this.#told.clear();
    this.#told.set(pod.uid, identity.uid);
    this.#events.record({
      involvedObject: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: pod.name, namespace: pod.namespace, uid: pod.uid },
      },
      type: "Warning",
      reason: REASON,
      message: `${(others ?? 0) + 1} identities match a token request that names none; AzureIdentity ${identity.namespace}/${identity.name} was used, because its binding is the heaviest, or the first by namespace and name. Name one in the request (client_id or msi_res_id), or give the binding that is meant a higher spec.weight`,
    });
  }
}
