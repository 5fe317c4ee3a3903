import { specDigest, specFingerprint } from "@podid/crd-types";
import type { AzureIdentitySpec } from "@podid/crd-types";
import type { Assignment } from "@podid/matcher";
import { namespaceOf } from "./object.ts";
import type { AssignedRecord } from "./record.ts";

/** Assignments with the object that stands for each, and the objects that stand for nothing any more. */
export interface Pairing {
  readonly pairs: readonly { readonly assignment: Assignment; readonly record: AssignedRecord }[];
  readonly missing: readonly Assignment[];
  readonly surplus: readonly AssignedRecord[];
}

/**
 * Finds the object of each assignment by pod UID and identity. An object without a UID, as upstream made it, belongs to the pod of
 * its name unless it is older than the pod: then it was for a former pod of that name.
 */
export function pair(
  assignments: Iterable<Assignment>,
  records: Iterable<AssignedRecord>,
  forceNamespaced: boolean,
): Pairing {
  const byUid = new Map<string, AssignedRecord[]>();
  const byName = new Map<string, AssignedRecord[]>();
  const surplus = new Set<AssignedRecord>();
  for (const record of records) {
    surplus.add(record);
    const { identity } = record;
    const [index, owner] =
      record.podUid === undefined ? [byName, `${record.podNamespace}/${record.podName}`] : [byUid, record.podUid];
    const key = `${owner}/${identity.namespace}/${identity.name}`;
    index.set(key, [...(index.get(key) ?? []), record]);
  }

  const pairs: { assignment: Assignment; record: AssignedRecord }[] = [];
  const missing: Assignment[] = [];
  for (const assignment of assignments) {
    const { pod, identity } = assignment;
    const candidates = [
      ...(byUid.get(`${pod.uid}/${identity.namespace}/${identity.name}`) ?? []),
      ...(byName.get(`${pod.namespace}/${pod.name}/${identity.namespace}/${identity.name}`) ?? []).filter(
        // The API server's creation times have whole seconds.
        ({ createdAt }) => createdAt >= Math.floor(pod.createdAt / 1000) * 1000,
      ),
    ].filter(({ namespace }) => namespace === namespaceOf(assignment, forceNamespaced));
    const record = candidates.toSorted(byMerit)[0];
    if (record === undefined) missing.push(assignment);
    else {
      surplus.delete(record);
      pairs.push({ assignment, record });
    }
  }
  return { pairs, missing, surplus: [...surplus] };
}

/** Of several objects for one assignment the living, then the assigned, then the oldest one stays. */
function byMerit(a: AssignedRecord, b: AssignedRecord): number {
  return (
    Number(a.deleting) - Number(b.deleting) ||
    Number(b.status === "Assigned") - Number(a.status === "Assigned") ||
    a.createdAt - b.createdAt ||
    (a.key < b.key ? -1 : 1)
  );
}

/** Whether the object still says what the assignment says. Resource versions, annotations and weights do not matter. */
export function saysTheSame(assignment: Assignment, record: AssignedRecord): boolean {
  const { pod, identity, binding } = assignment;
  return (
    record.nodeName === pod.nodeName &&
    sameIdentity(assignment, record) &&
    (record.identity.uid ?? identity.uid) === identity.uid &&
    record.binding.namespace === binding.namespace &&
    record.binding.name === binding.name &&
    (record.binding.uid ?? binding.uid) === binding.uid
  );
}

/**
 * Whether the object's copy of the identity means what the identity means. The CRD of aad-pod-identity drops fields that only podid
 * has; then the digest of what was sent decides, or the object would be written again and again.
 */
export function sameIdentity({ identity }: Pick<Assignment, "identity">, record: AssignedRecord): boolean {
  if (record.identityFingerprint === identity.fingerprint) return true;
  if (record.specDigest !== specDigest(identity.fingerprint)) return false;
  return record.identityFingerprint === specFingerprint(withoutOurFields(identity.spec));
}

function withoutOurFields({ serviceAccounts: _ours, ...upstreams }: AzureIdentitySpec): AzureIdentitySpec {
  return upstreams;
}
