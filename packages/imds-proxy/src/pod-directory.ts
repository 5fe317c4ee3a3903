import type { Candidate, Denial, PodRecord } from "@podid/matcher";

/** Whose address it is, as far as anybody knows now. */
export type Ownership =
  | { readonly kind: "pod"; readonly uid: string }
  /** No pod of this node has it (yet). */
  | { readonly kind: "unknown" }
  /** It is nobody's that could have an identity: the node itself, a pod in the node's network. */
  | { readonly kind: "denied"; readonly denial: Denial }
  /** Several live pods claim it, or the sources disagree. */
  | { readonly kind: "ambiguous"; readonly message: string }
  /** The caches are not filled; nothing may be concluded from them. */
  | { readonly kind: "unsynced"; readonly message: string };

export type Attachment =
  /** `sinceMs`: monotonic moment at which it was seen to become so; undefined: long ago, or nothing to attach. */
  | { readonly kind: "attached"; readonly sinceMs: number | undefined }
  /** `created`: somebody has begun; upstream waited longer then. */
  | { readonly kind: "pending"; readonly message: string; readonly created?: boolean };

export interface PodCandidate extends Candidate {
  readonly attachment: Attachment;
}

/** What a pod may do by the live objects: a picture of one moment. */
export interface Standing {
  readonly pod: PodRecord;
  /** Talks to IMDS as the node does: an AzurePodIdentityException, or MIC itself. */
  readonly excepted: boolean;
  readonly candidates: readonly PodCandidate[];
  /** Why there are no candidates. */
  readonly denial: Denial | undefined;
}

/** What the node agent knows of the pods on its node. Answers are immediate; changes are announced. */
export interface PodDirectory {
  /** @param address as `normalizeAddress` writes it */
  owner(address: string): Ownership;
  /** The pod of that name on this node, for processes of the host that ask on its behalf. */
  named(namespace: string, name: string): Ownership;
  standing(podUid: string): Standing | undefined;
  /** Calls `wake` after every change that could alter an answer. @returns how to stop */
  watch(wake: () => void): () => void;
}
