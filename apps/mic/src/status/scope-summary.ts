import { IDENTITY_TYPE } from "@podid/crd-types";
import type { IdentityRecord } from "@podid/matcher";
import type { Bookkeeping } from "../groups/bookkeeping.ts";
import { clientIdMismatches } from "../groups/client-id-mismatch.ts";
import type { Failure } from "../groups/failure.ts";
import type { Observation } from "../groups/observation.ts";

/** What one VM or scale set, or all of them together, contribute to the status of a binding. */
export interface BindingSummary {
  /** `namespace/name` */
  readonly identity: string;
  readonly matched: number;
  readonly assigned: number;
  readonly failed: number;
  /** One of the failures, always the same one. */
  readonly failure: Failure | undefined;
  /** Says that the AzureIdentity gives another client id than Azure. */
  readonly mismatch: string | undefined;
  /** Type 3: `namespace/name` of the pods' ServiceAccounts. */
  readonly serviceAccounts: ReadonlySet<string>;
  /** VMs and scale sets that hold the identity before pods need it: wanted, and of these attached. */
  readonly reserved: number;
  readonly held: number;
  readonly reservationFailure: Failure | undefined;
}

/** By binding, `namespace/name`. */
export type ScopeSummary = ReadonlyMap<string, BindingSummary>;

type Draft = { -readonly [K in keyof BindingSummary]: BindingSummary[K] } & { serviceAccounts: Set<string> };

/** Sums up what bookkeeping found in one scope. */
export function summarise(
  { standings, reservations }: Pick<Bookkeeping, "standings" | "reservations">,
  { attached }: Pick<Observation, "attached">,
): ScopeSummary {
  const drafts = new Map<string, Draft>();
  const draftOf = (binding: { readonly namespace: string; readonly name: string }, identity: IdentityRecord): Draft => {
    const key = `${binding.namespace}/${binding.name}`;
    let draft = drafts.get(key);
    if (draft === undefined) {
      draft = emptySummary(`${identity.namespace}/${identity.name}`);
      draft.mismatch = clientIdMismatches([identity], attached)[0]?.message;
      drafts.set(key, draft);
    }
    return draft;
  };
  for (const { assignment, state, failure } of standings) {
    const { pod, identity, binding } = assignment;
    const draft = draftOf(binding, identity);
    draft.matched += 1;
    if (state === "assigned") draft.assigned += 1;
    if (state === "failed") draft.failed += 1;
    draft.failure = firstOf(draft.failure, failure);
    if (identity.spec.type === IDENTITY_TYPE.federated)
      draft.serviceAccounts.add(`${pod.namespace}/${pod.serviceAccountName || "default"}`);
  }
  for (const { reservation, state, failure } of reservations) {
    const draft = draftOf(reservation.binding, reservation.identity);
    draft.reserved += 1;
    if (state === "assigned") draft.held += 1;
    draft.reservationFailure = firstOf(draft.reservationFailure, failure);
  }
  return drafts;
}

export function emptySummary(identity: string): Draft {
  return {
    identity,
    matched: 0,
    assigned: 0,
    failed: 0,
    failure: undefined,
    mismatch: undefined,
    serviceAccounts: new Set(),
    reserved: 0,
    held: 0,
    reservationFailure: undefined,
  };
}

/** Adds what one scope says to a sum. */
export function addSummary(sum: Draft, part: BindingSummary): void {
  sum.matched += part.matched;
  sum.assigned += part.assigned;
  sum.failed += part.failed;
  sum.reserved += part.reserved;
  sum.held += part.held;
  sum.failure = firstOf(sum.failure, part.failure);
  sum.reservationFailure = firstOf(sum.reservationFailure, part.reservationFailure);
  sum.mismatch ??= part.mismatch;
  for (const account of part.serviceAccounts) sum.serviceAccounts.add(account);
}

export function sameSummary(a: BindingSummary, b: BindingSummary): boolean {
  return (
    a.identity === b.identity &&
    a.matched === b.matched &&
    a.assigned === b.assigned &&
    a.failed === b.failed &&
    a.reserved === b.reserved &&
    a.held === b.held &&
    a.mismatch === b.mismatch &&
    sameFailure(a.failure, b.failure) &&
    sameFailure(a.reservationFailure, b.reservationFailure) &&
    a.serviceAccounts.size === b.serviceAccounts.size &&
    [...a.serviceAccounts].every((account) => b.serviceAccounts.has(account))
  );
}

/** The one whose words come first: which is told must not depend on the order of scopes. */
function firstOf(a: Failure | undefined, b: Failure | undefined): Failure | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.message < a.message ? b : a;
}

function sameFailure(a: Failure | undefined, b: Failure | undefined): boolean {
  return a?.reason === b?.reason && a?.message === b?.message;
}
