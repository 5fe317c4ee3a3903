import { assignmentOf, sameGrant } from "./assignment.ts";
import type { Assignment, PodRecord } from "./records.ts";
import type { Grant } from "./verdict.ts";

/** What one event changed. Every assignment appears at most once; the order within a list means nothing. */
export interface MatchDelta {
  readonly added: readonly Assignment[];
  /** As they were last. */
  readonly removed: readonly Assignment[];
  readonly changed: readonly { readonly before: Assignment; readonly after: Assignment }[];
}

/** The delta of an event that changed no assignment. */
export const NO_CHANGE: MatchDelta = Object.freeze({
  added: Object.freeze([]),
  removed: Object.freeze([]),
  changed: Object.freeze([]),
});

/** Collects what changed while an event is worked off. */
export class DeltaBuilder {
  readonly #added: Assignment[] = [];
  readonly #removed: Assignment[] = [];
  readonly #changed: { before: Assignment; after: Assignment }[] = [];

  /** One pod's grants, before and after. */
  compare(podBefore: PodRecord, before: readonly Grant[], podAfter: PodRecord, after: readonly Grant[]): void {
    const moved = podBefore.nodeName !== podAfter.nodeName;
    if (before === after && !moved) return;
    this.apply(podBefore, podAfter, grantChanges(before, after, moved));
  }

  apply(podBefore: PodRecord, podAfter: PodRecord, { added, removed, changed }: GrantChanges): void {
    for (const grant of removed) this.#removed.push(assignmentOf(podBefore, grant));
    for (const grant of added) this.#added.push(assignmentOf(podAfter, grant));
    for (const { before, after } of changed) {
      this.#changed.push({ before: assignmentOf(podBefore, before), after: assignmentOf(podAfter, after) });
    }
  }

  done(): MatchDelta {
    if (this.#added.length + this.#removed.length + this.#changed.length === 0) return NO_CHANGE;
    return { added: this.#added, removed: this.#removed, changed: this.#changed };
  }
}

/** What differs between two lists of grants of the same pods. */
export interface GrantChanges {
  readonly added: readonly Grant[];
  readonly removed: readonly Grant[];
  readonly changed: readonly { readonly before: Grant; readonly after: Grant }[];
}

/** @param all counts every grant that remains as changed */
export function grantChanges(before: readonly Grant[], after: readonly Grant[], all = false): GrantChanges {
  const added: Grant[] = [];
  const removed: Grant[] = [];
  const changed: { before: Grant; after: Grant }[] = [];
  for (const grant of before) {
    const next = after.find((other) => sameIdentity(grant, other));
    if (next === undefined) removed.push(grant);
    else if (all || !sameGrant(grant, next)) changed.push({ before: grant, after: next });
  }
  for (const grant of after) {
    if (!before.some((other) => sameIdentity(grant, other))) added.push(grant);
  }
  return { added, removed, changed };
}

export function isUnchanged({ added, removed, changed }: GrantChanges): boolean {
  return added.length + removed.length + changed.length === 0;
}

function sameIdentity(a: Grant, b: Grant): boolean {
  return a.identity.name === b.identity.name && a.identity.namespace === b.identity.namespace;
}
