import { BINDING_LABEL } from "@podid/crd-types";
import type { Denial } from "./denial.ts";
import type { PodRecord } from "./records.ts";

/** The value that bindings are compared with: the pod's label, or `undefined` when the pod carries none or an empty one. */
export function selectorOf(pod: PodRecord): string | undefined {
  return pod.labels[BINDING_LABEL] || undefined;
}

type Check = (pod: PodRecord) => Denial | undefined;

const FINISHED: ReadonlySet<string | undefined> = new Set(["Succeeded", "Failed"]);

const checks: readonly Check[] = [
  (pod) =>
    selectorOf(pod) === undefined
      ? {
          reason: "pod-not-labelled",
          message: `pod ${nameOf(pod)} doesn't contain ${BINDING_LABEL} label field. it will be ignored`,
        }
      : undefined,
  (pod) =>
    pod.nodeName
      ? undefined
      : { reason: "pod-not-scheduled", message: `pod ${nameOf(pod)} has no assigned node yet. it will be ignored` },
  (pod) =>
    FINISHED.has(pod.phase)
      ? { reason: "pod-finished", message: `pod ${nameOf(pod)} has ended (${pod.phase}). it will be ignored` }
      : undefined,
  (pod) =>
    pod.hostNetwork
      ? {
          reason: "pod-host-network",
          message: `pod ${nameOf(pod)} uses the network of its node, where its requests cannot be told from the node's own. it will be ignored`,
        }
      : undefined,
];

/** Why a pod cannot have any identity, whatever the bindings say: the first of the checks that fails. */
export function ineligibility(pod: PodRecord): Denial | undefined {
  for (const check of checks) {
    const denial = check(pod);
    if (denial !== undefined) return denial;
  }
  return undefined;
}

/** Whether a pod passes all checks; the same answer as {@link ineligibility} without making a message. */
export function isEligible(pod: PodRecord): boolean {
  return Boolean(selectorOf(pod) && pod.nodeName && !FINISHED.has(pod.phase) && !pod.hostNetwork);
}

function nameOf(pod: PodRecord): string {
  return `${pod.namespace}/${pod.name}`;
}
