import type { Assignment, PodRecord } from "./records.ts";
import type { Grant } from "./verdict.ts";

export function assignmentKey(podUid: string, identity: { readonly namespace: string; readonly name: string }): string {
  return `${podUid}/${identity.namespace}/${identity.name}`;
}

export function assignmentOf(pod: PodRecord, { identity, binding }: Grant): Assignment {
  return { key: assignmentKey(pod.uid, identity), pod, identity, binding };
}

/**
 * Whether two grants of the same identity mean the same. Newer resource versions, annotations that matching does not read and a
 * binding's weight make no difference: nothing has to be attached or written anew for them.
 */
export function sameGrant(a: Grant, b: Grant): boolean {
  return (
    a === b ||
    (a.identity.uid === b.identity.uid &&
      a.identity.fingerprint === b.identity.fingerprint &&
      a.identity.namespaced === b.identity.namespaced &&
      a.identity.namespace === b.identity.namespace &&
      a.identity.name === b.identity.name &&
      a.binding.uid === b.binding.uid &&
      a.binding.namespace === b.binding.namespace &&
      a.binding.name === b.binding.name)
  );
}

/**
 * Whether two assignments mean the same: same pod on the same node, same identity with the same meaning, same binding. A
 * {@link MatchDelta} reports a change exactly when this is false.
 */
export function sameAssignment(a: Assignment, b: Assignment): boolean {
  return a.pod.uid === b.pod.uid && a.pod.nodeName === b.pod.nodeName && sameGrant(a, b);
}
