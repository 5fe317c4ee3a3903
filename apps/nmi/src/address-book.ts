import type { Clock, Ownership } from "@podid/imds-proxy";
import type { NetworkRecords } from "./node/cni-cache.ts";
import { mayCall } from "./node-pod.ts";
import type { NodePod } from "./node-pod.ts";

/** Asks the API server, not the cache: whether this pod still is, and still has that address. */
export type ConfirmOwner = (pod: NodePod, address: string) => Promise<boolean>;

export interface AddressBookOptions {
  readonly clock: Clock;
  readonly confirm: ConfirmOwner;
  /** Called when a confirmation has come in. */
  readonly changed: () => void;
  /** Called when an address leaves its pod, or another one claims it too: who is connected from there came before. */
  readonly inDoubt?: (address: string) => void;
  /** What the node's container runtime knows; absent: the API server's word is all there is. */
  readonly records?: NetworkRecords | undefined;
  /** Whether the node itself has that address. */
  readonly isNodeAddress?: (address: string) => boolean;
}

/** An address that changed hands within this time is confirmed by a live read before it counts. */
const RECENT_MS = 60_000;
/** Between attempts when the API server could not be asked. */
const CONFIRM_AGAIN_MS = 1_000;

/** Which pod of the node an address belongs to. The watch alone cannot tell a reused address, so doubt means waiting. */
export class AddressBook {
  readonly #options: AddressBookOptions;
  readonly #pods = new Map<string, Map<string, NodePod>>();
  readonly #byUid = new Map<string, NodePod>();
  /** Records that never agree with anything may be left over from another runtime. */
  #recordsProven = false;
  readonly #history = new Map<string, { uid: string; leftAt: number | undefined }>();
  /** Addresses under confirmation, or confirmed, for that owner. */
  readonly #confirmations = new Map<string, { readonly uid: string; state: "asking" | "yes" | "no"; at: number }>();

  constructor(options: AddressBookOptions) {
    this.#options = options;
  }

  upsert(pod: NodePod, previous: NodePod | undefined): void {
    if (previous !== undefined)
      this.#drop(previous, pod.record.uid === previous.record.uid ? new Set(pod.addresses) : new Set());
    if (previous !== undefined && previous.record.uid !== pod.record.uid) this.#byUid.delete(previous.record.uid);
    this.#byUid.set(pod.record.uid, pod);
    for (const address of pod.addresses) {
      const holders = this.#pods.get(address) ?? new Map<string, NodePod>();
      if (holders.size > 0 && !holders.has(pod.record.uid) && this.#recorded(address) === undefined)
        this.#options.inDoubt?.(address);
      this.#pods.set(address, holders.set(pod.record.uid, pod));
    }
  }

  delete(pod: NodePod): void {
    this.#byUid.delete(pod.record.uid);
    this.#drop(pod, new Set());
  }

  owner(address: string): Ownership {
    const now = this.#options.clock.wallMs();
    const holders = [...(this.#pods.get(address)?.values() ?? [])].filter((pod) => mayCall(pod, now));
    const pods = holders.filter(({ record }) => !record.hostNetwork);
    const recorded = this.#options.records?.podOf(address);
    const verdict = recorded && this.#judge(address, recorded.uids, pods, now);
    if (verdict !== undefined) return verdict;
    const [only] = pods;
    if (only === undefined)
      return holders.length > 0 || isLoopback(address) || this.#options.isNodeAddress?.(address) === true
        ? hostAddress(address)
        : { kind: "unknown" };
    if (pods.length > 1) {
      const names = pods
        .map(({ record }) => `${record.namespace}/${record.name}`)
        .sort()
        .join(", ");
      return { kind: "ambiguous", message: `the address ${address} belongs to several pods: ${names}` };
    }
    const former = this.#history.get(address);
    const reused =
      former !== undefined &&
      former.uid !== only.record.uid &&
      (former.leftAt === undefined || this.#options.clock.monotonicMs() - former.leftAt < RECENT_MS);
    if (reused && !this.#confirmed(address, only)) {
      return {
        kind: "ambiguous",
        message: `the address ${address} belonged to another pod a moment ago and is being confirmed`,
      };
    }
    this.#history.set(address, { uid: only.record.uid, leftAt: undefined });
    return { kind: "pod", uid: only.record.uid };
  }

  /**
   * What follows from the runtime's record. It is written before a pod's containers start and removed after they have
   * ended, while the API server may lag behind by seconds either way.
   * @returns undefined when it says nothing about this address
   */
  #judge(address: string, uids: readonly string[], pods: readonly NodePod[], now: number): Ownership | undefined {
    const disagreement: Ownership = {
      kind: "ambiguous",
      message: `container runtime and API server do not agree yet on whose address ${address} is`,
    };
    const [uid, ...more] = uids;
    if (uid === undefined) return this.#recordsProven && pods.length > 0 ? disagreement : undefined;
    if (more.length > 0) return disagreement;
    const pod = this.#byUid.get(uid);
    if (pod === undefined && !this.#recordsProven) return undefined;
    if (pod === undefined || pod.record.hostNetwork || !mayCall(pod, now))
      return pods.length === 0 ? { kind: "unknown" } : disagreement;
    const agreed = pod.addresses.includes(address);
    this.#recordsProven ||= agreed;
    const contradicted = pods.some(({ record }) => record.uid !== uid) || (!agreed && pod.addresses.length > 0);
    if (contradicted) return disagreement;
    this.#history.set(address, { uid, leftAt: undefined });
    return { kind: "pod", uid };
  }

  /** The one pod that the runtime's record names. */
  #recorded(address: string): string | undefined {
    const uids = this.#recordsProven ? this.#options.records?.podOf(address)?.uids : undefined;
    return uids?.length === 1 ? uids[0] : undefined;
  }

  #drop(pod: NodePod, keep: ReadonlySet<string>): void {
    for (const address of pod.addresses) {
      if (keep.has(address)) continue;
      const holders = this.#pods.get(address);
      holders?.delete(pod.record.uid);
      if (holders?.size === 0) this.#pods.delete(address);
      if (!pod.record.hostNetwork)
        this.#history.set(address, { uid: pod.record.uid, leftAt: this.#options.clock.monotonicMs() });
      this.#confirmations.delete(address);
      // By the record the connections may be the next owner's already; the last one's were closed when it changed.
      if ((this.#recorded(address) ?? pod.record.uid) === pod.record.uid) this.#options.inDoubt?.(address);
      this.#forget();
    }
  }

  #confirmed(address: string, pod: NodePod): boolean {
    const now = this.#options.clock.monotonicMs();
    const known = this.#confirmations.get(address);
    if (known?.uid === pod.record.uid) {
      if (known.state === "yes") return true;
      if (known.state === "asking" || now - known.at < CONFIRM_AGAIN_MS) return false;
    }
    const asking: { uid: string; state: "asking" | "yes" | "no"; at: number } = {
      uid: pod.record.uid,
      state: "asking",
      at: now,
    };
    this.#confirmations.set(address, asking);
    this.#options
      .confirm(pod, address)
      .then(
        (yes) => (asking.state = yes ? "yes" : "no"),
        () => (asking.state = "no"),
      )
      .finally(() => {
        asking.at = this.#options.clock.monotonicMs();
        if (asking.state === "yes") this.#options.changed();
        else this.#options.clock.setTimeout(this.#options.changed, CONFIRM_AGAIN_MS);
      });
    return false;
  }

  /** What happened to addresses long ago decides nothing any more. */
  #forget(): void {
    if (this.#history.size < 4_096) return;
    const now = this.#options.clock.monotonicMs();
    for (const [address, { leftAt }] of this.#history)
      if (leftAt !== undefined && now - leftAt >= RECENT_MS) this.#history.delete(address);
  }
}

function hostAddress(address: string): Ownership {
  const message = `${address} is the node's own address: processes in the node's network cannot be told apart and get no identity here`;
  return { kind: "denied", denial: { reason: "pod-host-network", message } };
}

/** Whom the kernel lets connect to a loopback listener without a redirect. */
function isLoopback(address: string): boolean {
  return address === "127.0.0.1" || address === "::1";
}
