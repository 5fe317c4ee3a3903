import type { Attachment, Clock, Ownership, PodCandidate, PodDirectory, Standing } from "@podid/imds-proxy";
import { Matcher } from "@podid/matcher";
import type { Assignment, BindingRecord, ExceptionRecord, IdentityRecord, PodRecord } from "@podid/matcher";
import { AddressBook } from "./address-book.ts";
import type { ConfirmOwner } from "./address-book.ts";
import type { AssignedRecord } from "./assigned-identity.ts";
import { Attachments } from "./attachments.ts";
import { isByClientId, neverAttached } from "./by-client-id.ts";
import type { NetworkRecords } from "./node/cni-cache.ts";
import type { NodePod } from "./node-pod.ts";

export interface ClusterDirectoryOptions {
  readonly clock: Clock;
  readonly mode: "standard" | "managed";
  readonly forceNamespaced: boolean;
  /** MIC by its ServiceAccount; undefined: no pod is MIC. */
  readonly mic: { readonly namespace: string; readonly serviceAccount: string } | undefined;
  readonly confirm: ConfirmOwner;
  /** Told when an identity is gone or has become another one; what was kept for it is of no use. */
  readonly onIdentityGone: (uid: string) => void;
  /** Told when an address may belong to another pod from now on; who is connected from there is not who comes now. */
  readonly onAddressInDoubt: (address: string) => void;
  /** Told when a pod is gone. */
  readonly onPodGone?: (uid: string) => void;
  readonly records?: NetworkRecords | undefined;
  readonly isNodeAddress?: (address: string) => boolean;
  /** Why the caches say nothing yet; undefined once they do. */
  readonly unsynced: () => string | undefined;
}

const ATTACHED_BY_SOMEBODY_ELSE: Attachment = { kind: "attached", sinceMs: undefined };

/**
 * What the API server says of this node's pods, as token requests need it. Fed by reflectors, one event at a time;
 * asked on every request, hence a pod's standing is kept until anything changes.
 */
export class ClusterDirectory implements PodDirectory {
  readonly #options: ClusterDirectoryOptions;
  readonly #matcher: Matcher;
  readonly #book: AddressBook;
  readonly #attachments: Attachments;
  readonly #pods = new Map<string, PodRecord>();
  readonly #standings = new Map<string, Standing>();
  readonly #watchers = new Set<() => void>();
  #wakeScheduled = false;

  constructor(options: ClusterDirectoryOptions) {
    this.#options = options;
    this.#matcher = new Matcher({ forceNamespaced: options.forceNamespaced });
    this.#attachments = new Attachments({ monotonicMs: () => options.clock.monotonicMs() });
    this.#book = new AddressBook({
      clock: options.clock,
      confirm: options.confirm,
      changed: () => this.changed(),
      inDoubt: options.onAddressInDoubt,
      records: options.records,
      ...(options.isNodeAddress && { isNodeAddress: options.isNodeAddress }),
    });
  }

  owner(address: string): Ownership {
    const message = this.#options.unsynced();
    return message === undefined ? this.#book.owner(address) : { kind: "unsynced", message };
  }

  named(namespace: string, name: string): Ownership {
    const message = this.#options.unsynced();
    if (message !== undefined) return { kind: "unsynced", message };
    for (const [uid, pod] of this.#pods) {
      if (pod.name === name && pod.namespace === namespace) return { kind: "pod", uid };
    }
    return { kind: "unknown" };
  }

  standing(podUid: string): Standing | undefined {
    const kept = this.#standings.get(podUid);
    if (kept !== undefined) return kept;
    const pod = this.#pods.get(podUid);
    if (pod === undefined) return undefined;
    const assignments = this.#matcher.assignmentsOf(podUid);
    const all = assignments.map((assignment) => this.#candidate(assignment));
    const candidates = all.filter(
      ({ attachment, identity }) => attachment.kind === "attached" || !isByClientId(identity),
    );
    const [vain] = all;
    const standing: Standing = {
      pod,
      excepted: this.#matcher.isExcepted(podUid) || this.#isMic(pod),
      candidates,
      denial:
        candidates.length > 0
          ? undefined
          : vain === undefined
            ? this.#matcher.explain(podUid).denial
            : neverAttached(vain.identity),
    };
    this.#standings.set(podUid, standing);
    return standing;
  }

  watch(wake: () => void): () => void {
    this.#watchers.add(wake);
    return () => this.#watchers.delete(wake);
  }

  /** Forgets what was concluded and wakes who waits, once for any number of changes in a row. */
  changed(): void {
    this.#standings.clear();
    if (this.#wakeScheduled || this.#watchers.size === 0) return;
    this.#wakeScheduled = true;
    queueMicrotask(() => {
      this.#wakeScheduled = false;
      for (const wake of this.#watchers) wake();
    });
  }

  upsertPod(pod: NodePod, previous: NodePod | undefined): void {
    if (previous !== undefined && previous.record.uid !== pod.record.uid) this.#forgetPod(previous.record.uid);
    this.#pods.set(pod.record.uid, pod.record);
    this.#matcher.upsertPod(pod.record);
    this.#book.upsert(pod, previous);
    this.changed();
  }

  deletePod(pod: NodePod): void {
    this.#forgetPod(pod.record.uid);
    this.#book.delete(pod);
    this.changed();
  }

  #forgetPod(uid: string): void {
    this.#pods.delete(uid);
    this.#options.onPodGone?.(uid);
    this.#matcher.deletePod(uid);
  }

  upsertBinding(binding: BindingRecord): void {
    this.#matcher.upsertBinding(binding);
    this.changed();
  }

  deleteBinding({ namespace, name }: BindingRecord): void {
    this.#matcher.deleteBinding(namespace, name);
    this.changed();
  }

  upsertIdentity(identity: IdentityRecord, previous: IdentityRecord | undefined): void {
    if (previous !== undefined && (previous.uid !== identity.uid || previous.fingerprint !== identity.fingerprint))
      this.#options.onIdentityGone(previous.uid);
    this.#matcher.upsertIdentity(identity);
    this.changed();
  }

  deleteIdentity({ namespace, name, uid }: IdentityRecord): void {
    this.#options.onIdentityGone(uid);
    this.#matcher.deleteIdentity(namespace, name);
    this.changed();
  }

  upsertException(exception: ExceptionRecord): void {
    this.#matcher.upsertException(exception);
    this.changed();
  }

  deleteException({ namespace, name }: ExceptionRecord): void {
    this.#matcher.deleteException(namespace, name);
    this.changed();
  }

  upsertAssigned(key: string, record: AssignedRecord, previous: AssignedRecord | undefined): void {
    this.#attachments.upsert(key, record, previous);
    this.changed();
  }

  deleteAssigned(key: string, record: AssignedRecord): void {
    this.#attachments.delete(key, record);
    this.changed();
  }

  #candidate(assignment: Assignment): PodCandidate {
    const attachment = this.#options.mode === "managed" ? ATTACHED_BY_SOMEBODY_ELSE : this.#attachments.of(assignment);
    return { identity: assignment.identity, binding: assignment.binding, attachment };
  }

  #isMic(pod: PodRecord): boolean {
    const { mic } = this.#options;
    return mic !== undefined && pod.namespace === mic.namespace && pod.serviceAccountName === mic.serviceAccount;
  }
}
