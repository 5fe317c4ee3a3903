import type { AssignedIdentityStatus } from "@podid/crd-types";
import type { Assignment, IdentityRecord } from "@podid/matcher";
import { isAttachable } from "../assigned/is-attachable.ts";
import { pair, sameIdentity, saysTheSame } from "../assigned/pairing.ts";
import { hasFinalizer } from "../assigned/record.ts";
import type { AssignedRecord } from "../assigned/record.ts";
import { armFailure } from "./failure.ts";
import type { Failure } from "./failure.ts";
import type { Observation } from "./observation.ts";
import type { Reservation } from "./pre-assignments.ts";

export interface BookkeepingInput {
  /** Of the group's nodes; none for a node that is gone. */
  readonly assignments: readonly Assignment[];
  readonly records: readonly AssignedRecord[];
  /** Why nothing can be attached to these nodes (gone, or not an Azure machine); then nothing ever was. */
  readonly unattachable?: string;
  readonly observation: Observation;
  /** What the group holds whether pods need it or not. */
  readonly reservations?: readonly Reservation[];
  /** Identities nobody needs any more that stay attached for now. */
  readonly lingering?: ReadonlySet<string>;
  /** Whether an attached identity will stay there whatever the pods need. */
  readonly staysAttached: (key: string) => boolean;
  readonly forceNamespaced: boolean;
  readonly now: number;
  /** How old an observation may be that lets a new assignment go without asking ARM. */
  readonly trustMs: number;
}

/** What to write, and whether ARM has work. At most one entry per assignment or object in all lists together. */
export interface Bookkeeping {
  readonly create: readonly Assignment[];
  /** The object says something else than the assignment. */
  readonly rewrite: readonly {
    readonly assignment: Assignment;
    readonly record: AssignedRecord;
    readonly status: AssignedIdentityStatus;
  }[];
  readonly assign: readonly { readonly assignment: Assignment; readonly record: AssignedRecord }[];
  readonly unassign: readonly AssignedRecord[];
  readonly remove: readonly AssignedRecord[];
  readonly fail: readonly {
    readonly assignment: Assignment;
    readonly record: AssignedRecord;
    readonly failure: Failure;
  }[];
  readonly needsArm: boolean;
  /** How far each assignment has come. */
  readonly standings: readonly Standing[];
  readonly reservations: readonly {
    readonly reservation: Reservation;
    readonly state: Standing["state"];
    readonly failure?: Failure;
  }[];
}

/** How far an assignment has come. */
export interface Standing {
  readonly assignment: Assignment;
  readonly state: "assigned" | "pending" | "failed";
  /** Only of a failed one. */
  readonly failure?: Failure;
}

/**
 * Compares what the group's pods are entitled to with the objects that say so and with what ARM was seen to hold.
 *
 * | object | wanted | attached | →                               |
 * |--------|--------|----------|---------------------------------|
 * | none   | yes    | any      | create as Created               |
 * | any, says otherwise | yes | any | rewrite as Created         |
 * | Created, "" | yes | yes    | assign                          |
 * | Created, "" | yes | no     | ARM, or fail while it refuses   |
 * | Unassigned | yes | any     | rewrite as Created              |
 * | terminating | yes | any    | remove; then a new one is made  |
 * | any    | no     | stays, shared or gone | remove             |
 * | any    | no     | ours     | unassign, ARM, then remove      |
 * | none   | no     | ours     | ARM                             |
 * | none   | reserved | no     | ARM                             |
 *
 * An identity that is reserved, or lingers, counts as needed.
 */
export function bookkeeping(input: BookkeepingInput): Bookkeeping {
  const { observation, now } = input;
  const { pairs, missing, surplus } = pair(input.assignments, input.records, input.forceNamespaced);
  const rewrite: { assignment: Assignment; record: AssignedRecord; status: AssignedIdentityStatus }[] = [];
  const assign: { assignment: Assignment; record: AssignedRecord }[] = [];
  const fail: { assignment: Assignment; record: AssignedRecord; failure: Failure }[] = [];
  const standings: Standing[] = missing.map((assignment) => ({ assignment, state: "pending" }));
  const unassign: AssignedRecord[] = [];
  const remove: AssignedRecord[] = [];
  let needsArm = false;
  const blocked = observation.blocked !== undefined && now < observation.blocked.until;
  const mayAsk = (key: string | undefined): boolean =>
    !blocked && now >= (observation.refused.get(key ?? "")?.until ?? 0);

  for (const { assignment, record } of pairs) {
    let standing: Standing = { assignment, state: "pending" };
    if (record.deleting) {
      // What others' finalizers hold is not ours to finish.
      if (hasFinalizer(record)) remove.push(record);
    } else if (!saysTheSame(assignment, record)) {
      const isAssigned = record.status === "Assigned" && sameIdentity(assignment, record);
      if (isAssigned) standing = { assignment, state: "assigned" };
      rewrite.push({ assignment, record, status: isAssigned ? "Assigned" : "Created" });
    } else if (record.status === "Unassigned") {
      rewrite.push({ assignment, record, status: "Created" });
    } else if (record.status === "Assigned") {
      standing = { assignment, state: "assigned" };
      // Somebody may have taken it away; ARM puts it back, and meanwhile NMI's own retries carry the pod.
      const lost =
        isAttachable(assignment.identity.spec) && seen(observation) && !isAttached(assignment.identity, observation);
      if (lost) {
        needsArm ||= mayAsk(assignment.identity.resourceKey);
        const failure = obstacle(assignment.identity, input);
        if (failure !== undefined) standing = { assignment, state: "failed", failure };
      }
    } else {
      const verdict = readiness(assignment.identity, input);
      if (verdict === "ready") {
        assign.push({ assignment, record });
        needsArm ||=
          isReserved(assignment.identity, input) && !isFresh(input) && mayAsk(assignment.identity.resourceKey);
      } else if (verdict === "ask") needsArm = true;
      else {
        fail.push({ assignment, record, failure: verdict });
        standing = { assignment, state: "failed", failure: verdict };
      }
    }
    standings.push(standing);
  }

  const reservations = (input.reservations ?? []).map((reservation): Bookkeeping["reservations"][number] => {
    if (isAttached(reservation.identity, observation)) return { reservation, state: "assigned" };
    needsArm ||= mayAsk(reservation.ref.key);
    const failure = obstacle(reservation.identity, input);
    return failure === undefined ? { reservation, state: "pending" } : { reservation, state: "failed", failure };
  });

  const needed = new Set([
    ...input.assignments.map(({ identity }) => identity.resourceKey),
    ...reservations.map(({ reservation }) => reservation.ref.key),
    // Until the first look nothing is known to be ours, and what upstream attached is told by its objects alone.
    ...(seen(observation) ? (input.lingering ?? []) : []),
  ]);
  for (const record of surplus) {
    if (record.deleting && !hasFinalizer(record)) continue;
    if (isReleasable(record, needed, input)) remove.push(record);
    else {
      if (!record.deleting && record.status !== "Unassigned") unassign.push(record);
      needsArm ||= mayAsk(record.resourceKey);
    }
  }
  needsArm ||= leftovers(input, needed).some(mayAsk);
  return { create: missing, rewrite, assign, unassign, remove, fail, needsArm, standings, reservations };
}

type Readiness = "ready" | "ask" | Failure;

function readiness(identity: IdentityRecord, input: BookkeepingInput): Readiness {
  const { observation, unattachable } = input;
  if (!isAttachable(identity.spec)) return "ready";
  // The look at what is reserved is as old as the last comparison with ARM; pods are not to wait for another.
  const isTrusted = isFresh(input) || isReserved(identity, input);
  if (unattachable === undefined && isAttached(identity, observation) && isTrusted) return "ready";
  return obstacle(identity, input) ?? "ask";
}

/** What stands in the way of attaching the identity now. */
function obstacle(identity: IdentityRecord, { observation, unattachable, now }: BookkeepingInput): Failure | undefined {
  if (unattachable !== undefined) return { reason: "NodeNotAttachable", message: unattachable };
  const refusal = observation.refused.get(identity.resourceKey ?? "");
  if (refusal !== undefined && now < refusal.until) return armFailure(refusal.problem);
  const { blocked } = observation;
  return blocked !== undefined && now < blocked.until ? armFailure(blocked.problem) : undefined;
}

function isFresh({ observation, now, trustMs }: BookkeepingInput): boolean {
  return now - observation.seenAt <= trustMs;
}

function isReserved({ resourceKey }: IdentityRecord, { reservations = [] }: BookkeepingInput): boolean {
  return reservations.some(({ ref }) => ref.key === resourceKey);
}

function isAttached({ resourceKey }: IdentityRecord, { attached }: Observation): boolean {
  // Without a client id the operation is not finished.
  return attached.get(resourceKey ?? "")?.clientId !== undefined;
}

function seen({ seenAt }: Observation): boolean {
  return seenAt > 0;
}

function isReleasable(
  { resourceKey }: AssignedRecord,
  needed: ReadonlySet<string | undefined>,
  { observation, unattachable, staysAttached }: BookkeepingInput,
): boolean {
  if (resourceKey === undefined || unattachable !== undefined || needed.has(resourceKey)) return true;
  // Until the first look the ledger may not even have taken over what upstream attached.
  if (!seen(observation)) return false;
  return !observation.attached.has(resourceKey) || !observation.owned.has(resourceKey) || staysAttached(resourceKey);
}

/** What is ours, attached, and needed by no pod: for instance because the node that used it is gone. */
function leftovers(
  { observation, staysAttached }: BookkeepingInput,
  needed: ReadonlySet<string | undefined>,
): string[] {
  return [...observation.owned].filter(
    (key) => !needed.has(key) && observation.attached.has(key) && !staysAttached(key),
  );
}
