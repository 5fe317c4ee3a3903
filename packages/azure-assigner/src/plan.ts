import type { AttachedIdentity, ComputeState, IdentityRef } from "./compute-state.ts";
import { identityKind } from "./identity-type.ts";
import type { IdentityKind } from "./identity-type.ts";
import type { Ledger, LedgerEntry } from "./ledger.ts";

/** ARM's limit of entries, additions and nulls together, in one request (message "exceed limit '150' in one request"). */
export const MAX_ENTRIES_PER_REQUEST = 150;

/** The `identity` of an ARM PATCH: `{}` adds, null removes, what is not named stays. */
export interface IdentityPatch {
  readonly type: IdentityKind;
  readonly userAssignedIdentities?: Readonly<Record<string, Record<string, never> | null>>;
}

export interface PlannedRequest {
  readonly attach: readonly IdentityRef[];
  readonly detach: readonly IdentityRef[];
  readonly patch: IdentityPatch;
}

export interface PlanInput {
  readonly current: ComputeState;
  /** What the pods of the group need; duplicates by key are one. */
  readonly desired: Iterable<IdentityRef>;
  readonly ledger: Ledger;
  /** Immutable, cluster and kept identities: never detached. */
  readonly isProtected: (identity: AttachedIdentity) => boolean;
  /** Keys that are neither attached nor detached this time. */
  readonly skip?: ReadonlySet<string>;
  /** Keys of ours to detach although they are needed: they serve nobody as they are, and are attached again afterwards. */
  readonly evict?: ReadonlySet<string>;
  readonly maxEntries?: number;
}

/** All lists are sorted by key. */
export interface Plan {
  readonly attach: readonly IdentityRef[];
  readonly detach: readonly IdentityRef[];
  /** Attached, not needed, and not ours: never touched. */
  readonly unclaimed: readonly AttachedIdentity[];
  /** Attached by us and not needed, but protected. */
  readonly kept: readonly AttachedIdentity[];
  /** In order; empty when there is no difference. */
  readonly requests: readonly PlannedRequest[];
}

/**
 * What to ask of ARM so that the machine holds what its pods need.
 *
 * | needed | attached | ours | protected | →        |
 * |--------|----------|------|-----------|----------|
 * | yes    | yes      | any  | any       | nothing  |
 * | yes    | no       | any  | any       | attach   |
 * | yes    | yes, being detached | yes | any | attach again, once: the new etag makes a late detach fail. Without etags: nothing, and look again when the detach can no longer come true |
| yes    | yes, to be evicted  | yes | no  | detach |
 * | no     | yes      | no   | any       | unclaimed|
 * | no     | yes      | yes  | yes       | kept     |
 * | no     | yes      | yes  | no        | detach   |
 */
export function plan({
  current,
  desired,
  ledger,
  isProtected,
  skip = new Set(),
  evict = new Set(),
  maxEntries = MAX_ENTRIES_PER_REQUEST,
}: PlanInput): Plan {
  const needed = new Map<string, IdentityRef>();
  for (const { key, id } of desired) if (!needed.has(key)) needed.set(key, { key, id });

  const isEvicted = (identity: AttachedIdentity): boolean =>
    evict.has(identity.key) && Object.hasOwn(ledger.entries, identity.key) && !isProtected(identity);
  const attach = [...needed.values()].filter(({ key }) => {
    const attached = current.attached.get(key);
    if (attached === undefined) return !skip.has(key) && !evict.has(key);
    return !skip.has(key) && !isEvicted(attached) && isReassertable(ledger.entries[key], current);
  });
  const detach: IdentityRef[] = [];
  const unclaimed: AttachedIdentity[] = [];
  const kept: AttachedIdentity[] = [];
  for (const identity of current.attached.values()) {
    if (isEvicted(identity)) {
      detach.push({ key: identity.key, id: identity.id });
      continue;
    }
    if (needed.has(identity.key)) continue;
    if (!Object.hasOwn(ledger.entries, identity.key)) unclaimed.push(identity);
    else if (isProtected(identity)) kept.push(identity);
    else if (!skip.has(identity.key)) detach.push({ key: identity.key, id: identity.id });
  }
  for (const list of [attach, detach, unclaimed, kept]) list.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { attach, detach, unclaimed, kept, requests: requestsFor(current, attach, detach, maxEntries) };
}

/** Attaching what is there already changes nothing but the etag: useless where the API has none. */
function isReassertable(entry: LedgerEntry | undefined, { etag }: ComputeState): boolean {
  return entry?.state === "detaching" && entry.reasserted !== true && etag !== undefined;
}

/** Additions go first: pods wait for them. */
function requestsFor(
  current: ComputeState,
  attach: readonly IdentityRef[],
  detach: readonly IdentityRef[],
  maxEntries: number,
): PlannedRequest[] {
  const entries = [
    ...attach.map((identity) => ({ identity, add: true })),
    ...detach.map((identity) => ({ identity, add: false })),
  ];
  const requests: PlannedRequest[] = [];
  let users = current.attached.size;
  for (let start = 0; start < entries.length; start += maxEntries) {
    const chunk = entries.slice(start, start + maxEntries);
    const adds = chunk.filter(({ add }) => add).map(({ identity }) => identity);
    const removes = chunk.filter(({ add }) => !add).map(({ identity }) => identity);
    users += adds.filter(({ key }) => !current.attached.has(key)).length - removes.length;
    requests.push({ attach: adds, detach: removes, patch: patchFor(current.systemAssigned, users, adds, removes) });
  }
  return requests;
}

/** The map is left out when nothing remains: ARM refuses one together with a type that has no user-assigned identities. */
function patchFor(
  systemAssigned: boolean,
  remaining: number,
  attach: readonly IdentityRef[],
  detach: readonly IdentityRef[],
): IdentityPatch {
  const type = identityKind(systemAssigned, remaining);
  if (remaining === 0) return { type };
  return {
    type,
    userAssignedIdentities: Object.fromEntries([
      ...attach.map(({ key }) => [key, {}] as const),
      ...detach.map(({ id }) => [id, null] as const),
    ]),
  };
}
