import { normalizeAddress } from "@podid/imds-proxy";
import type { KubeObject } from "@podid/kube";
import { podRecord } from "@podid/matcher";
import type { PodRecord } from "@podid/matcher";

/** A pod of this node: what matching needs, and whether it can still be calling. */
export interface NodePod {
  readonly record: PodRecord;
  /** `podIPs` in the one spelling. */
  readonly addresses: readonly string[];
  /** All containers have ended, whatever the phase says yet. */
  readonly ended: boolean;
  /** Milliseconds since the epoch at which a terminating pod's grace period is over. */
  readonly graceEndsAt: number | undefined;
}

export function nodePod(object: KubeObject): NodePod | undefined {
  const record = podRecord(object);
  if (record === undefined) return undefined;
  const graceEnds = Date.parse(object.metadata.deletionTimestamp ?? "");
  return {
    record,
    addresses: record.podIPs.map(normalizeAddress),
    ended: record.phase === "Succeeded" || record.phase === "Failed" || containersEnded(object),
    graceEndsAt: Number.isNaN(graceEnds) ? undefined : graceEnds,
  };
}

/** Whether a request from its address could be this pod's at that moment. */
export function mayCall(pod: NodePod, nowMs: number): boolean {
  return !pod.ended && (pod.graceEndsAt === undefined || nowMs < pod.graceEndsAt + LATE_KILL_MS);
}

/** kubelet kills at the end of the grace period and not before; its clock and ours may differ by a little. */
const LATE_KILL_MS = 2_000;

interface ContainerStatus {
  readonly state?: { readonly terminated?: unknown; readonly running?: unknown; readonly waiting?: unknown };
}

/** Only of a terminating pod: between restarts all containers of a living one may be terminated for a moment. */
function containersEnded(object: KubeObject): boolean {
  if (object.metadata.deletionTimestamp === undefined) return false;
  const statuses =
    (object["status"] as { containerStatuses?: readonly ContainerStatus[] } | undefined)?.containerStatuses ?? [];
  return statuses.length > 0 && statuses.every(({ state }) => state?.terminated !== undefined);
}
