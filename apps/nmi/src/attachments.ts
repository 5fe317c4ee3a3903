import type { Attachment } from "@podid/imds-proxy";
import type { Assignment } from "@podid/matcher";
import type { AssignedRecord } from "./assigned-identity.ts";

/** What MIC says about the identities of this node's pods, and since when NMI knows. */
export class Attachments {
  readonly #byPod = new Map<string, Map<string, Seen>>();
  readonly #monotonicMs: () => number;

  constructor(options: { readonly monotonicMs: () => number }) {
    this.#monotonicMs = options.monotonicMs;
  }

  upsert(key: string, record: AssignedRecord, previous: AssignedRecord | undefined): void {
    const before = previous === undefined ? undefined : this.#byPod.get(podKey(previous))?.get(key);
    if (previous !== undefined) this.delete(key, previous);
    const sinceMs =
      before !== undefined && sameAttachment(before.record, record) ? before.sinceMs : this.#monotonicMs();
    const group = this.#byPod.get(podKey(record)) ?? new Map<string, Seen>();
    this.#byPod.set(podKey(record), group.set(key, { record, sinceMs }));
  }

  delete(key: string, record: AssignedRecord): void {
    const group = this.#byPod.get(podKey(record));
    group?.delete(key);
    if (group?.size === 0) this.#byPod.delete(podKey(record));
  }

  /** Whether what the live objects grant is attached, by an object made for this very pod and this edition of the identity. */
  of({ pod, identity }: Assignment): Attachment {
    const who = `AzureIdentity ${identity.namespace}/${identity.name} for pod ${pod.namespace}/${pod.name}`;
    let created = false;
    let message = `${who} waits for MIC to create its AzureAssignedIdentity; check that MIC is running`;
    for (const { record, sinceMs } of this.#byPod.get(`${pod.namespace}/${pod.name}`)?.values() ?? []) {
      if (record.identity.namespace !== identity.namespace || record.identity.name !== identity.name) continue;
      const object = `AzureAssignedIdentity ${record.namespace}/${record.name}`;
      // Upstream recorded no UID; an object older than the pod was made for its predecessor of the same name.
      const forThisPod = record.podUid === undefined ? record.createdAt >= pod.createdAt : record.podUid === pod.uid;
      const sameEdition =
        record.identity.fingerprint === identity.fingerprint &&
        (record.identity.uid === "" || record.identity.uid === identity.uid);
      if (!forThisPod) message = `${who}: ${object} is an earlier pod's; MIC has to replace it`;
      else if (record.deleting || record.status === "Unassigned") message = `${who}: ${object} is being removed`;
      else if (!sameEdition) message = `${who} was changed; MIC has to update ${object}`;
      else if (record.status === "Created") {
        created = true;
        message = `${who} is being attached to the node (${object} is in CREATED state); check MIC's log for identity assignment errors`;
      } else return { kind: "attached", sinceMs };
    }
    return created ? { kind: "pending", message, created } : { kind: "pending", message };
  }
}

interface Seen {
  readonly record: AssignedRecord;
  /** Monotonic moment since when it says so. */
  readonly sinceMs: number;
}

function podKey({ podNamespace, podName }: AssignedRecord): string {
  return `${podNamespace}/${podName}`;
}

function sameAttachment(a: AssignedRecord, b: AssignedRecord): boolean {
  return (
    a.status === b.status &&
    a.uid === b.uid &&
    a.podUid === b.podUid &&
    a.identity.fingerprint === b.identity.fingerprint &&
    a.identity.uid === b.identity.uid
  );
}
