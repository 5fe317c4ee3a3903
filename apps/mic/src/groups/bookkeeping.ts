import type { ArmProblem } from "@podid/azure-assigner";
import type { AssignedIdentityStatus } from "@podid/crd-types";
import type { Assignment } from "@podid/matcher";
import { isAttachable } from "../assigned/is-attachable.ts";
import { pair, saysTheSame } from "../assigned/pairing.ts";
import { hasFinalizer } from "../assigned/record.ts";
import type { AssignedRecord } from "../assigned/record.ts";
import type { Observation } from "./observation.ts";

export interface BookkeepingInput {
  /** Of the group's nodes; none for a node that is gone. */
  readonly assignments: readonly Assignment[];
  readonly records: readonly AssignedRecord[];
  /** Why nothing can be attached to these nodes (gone, or not an Azure machine); then nothing ever was. */
  readonly unattachable?: string;
  readonly observation: Observation;
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
    readonly error: string;
  }[];
  readonly needsArm: boolean;
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
 */
export function bookkeeping(input: BookkeepingInput): Bookkeeping {
  const { observation, now } = input;
  const { pairs, missing, surplus } = pair(input.assignments, input.records, input.forceNamespaced);
  const rewrite: { assignment: Assignment; record: AssignedRecord; status: AssignedIdentityStatus }[] = [];
  const assign: { assignment: Assignment; record: AssignedRecord }[] = [];
  const fail: { assignment: Assignment; record: AssignedRecord; error: string }[] = [];
  const unassign: AssignedRecord[] = [];
  const remove: AssignedRecord[] = [];
  let needsArm = false;
  const blocked = observation.blocked !== undefined && now < observation.blocked.until;
  const mayAsk = (key: string | undefined): boolean =>
    !blocked && now >= (observation.refused.get(key ?? "")?.until ?? 0);

  for (const { assignment, record } of pairs) {
    if (record.deleting) {
      // What others' finalizers hold is not ours to finish.
      if (hasFinalizer(record)) remove.push(record);
    } else if (!saysTheSame(assignment, record)) {
      const sameIdentity =
        record.status === "Assigned" && record.identityFingerprint === assignment.identity.fingerprint;
      rewrite.push({ assignment, record, status: sameIdentity ? "Assigned" : "Created" });
    } else if (record.status === "Unassigned") {
      rewrite.push({ assignment, record, status: "Created" });
    } else if (record.status === "Assigned") {
      // Somebody may have taken it away; ARM puts it back, and meanwhile NMI's own retries carry the pod.
      const lost = isAttachable(assignment.identity.spec) && seen(observation) && !isAttached(assignment, observation);
      if (lost) needsArm ||= mayAsk(assignment.identity.resourceKey);
    } else {
      const verdict = readiness(assignment, input);
      if (verdict === "ready") assign.push({ assignment, record });
      else if (verdict === "ask") needsArm = true;
      else if (verdict !== "wait") fail.push({ assignment, record, error: verdict.error });
    }
  }

  const needed = new Set(input.assignments.map(({ identity }) => identity.resourceKey));
  for (const record of surplus) {
    if (record.deleting && !hasFinalizer(record)) continue;
    if (isReleasable(record, needed, input)) remove.push(record);
    else {
      if (!record.deleting && record.status !== "Unassigned") unassign.push(record);
      needsArm ||= mayAsk(record.resourceKey);
    }
  }
  needsArm ||= leftovers(input, needed).some(mayAsk);
  return { create: missing, rewrite, assign, unassign, remove, fail, needsArm };
}

type Readiness = "ready" | "ask" | "wait" | { readonly error: string };

function readiness(assignment: Assignment, { observation, unattachable, now, trustMs }: BookkeepingInput): Readiness {
  if (!isAttachable(assignment.identity.spec)) return "ready";
  if (unattachable !== undefined) return { error: unattachable };
  if (isAttached(assignment, observation) && now - observation.seenAt <= trustMs) return "ready";
  const refusal = observation.refused.get(assignment.identity.resourceKey ?? "");
  if (refusal !== undefined && now < refusal.until) return { error: describe(refusal.problem) };
  if (observation.blocked !== undefined && now < observation.blocked.until) {
    return { error: describe(observation.blocked.problem) };
  }
  return "ask";
}

function isAttached({ identity }: Assignment, { attached }: Observation): boolean {
  // Without a client id the operation is not finished.
  return attached.get(identity.resourceKey ?? "")?.clientId !== undefined;
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

function describe({ code, message }: ArmProblem): string {
  return `${code}: ${message}`;
}
