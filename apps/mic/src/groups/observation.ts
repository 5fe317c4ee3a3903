import type { ArmProblem, AttachedIdentity } from "@podid/azure-assigner";

/** What ARM was last seen to hold for a node group, and what stands in the way. */
export interface Observation {
  /** Milliseconds since the epoch of the last look; 0: never looked. */
  readonly seenAt: number;
  /** By lower-cased resource id. */
  readonly attached: ReadonlyMap<string, AttachedIdentity>;
  /** Attached by us. */
  readonly owned: ReadonlySet<string>;
  readonly refused: ReadonlyMap<string, Refusal>;
  /** Why the whole group cannot be brought to its desired state. */
  readonly blocked?: { readonly problem: ArmProblem; readonly attempts: number; readonly until: number };
}

/** An identity that ARM refuses; tried again at `until`. */
export interface Refusal {
  readonly problem: ArmProblem;
  readonly attempts: number;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

export const NEVER_SEEN: Observation = { seenAt: 0, attached: new Map(), owned: new Set(), refused: new Map() };

/** Observations of all groups. Void when leadership begins: another may have changed everything. */
export class Observations {
  readonly #byGroup = new Map<string, Observation>();

  of(groupKey: string): Observation {
    return this.#byGroup.get(groupKey) ?? NEVER_SEEN;
  }

  set(groupKey: string, observation: Observation): void {
    this.#byGroup.set(groupKey, observation);
  }

  /** Identities that are about to be detached cannot be relied on from now on. */
  forget(groupKey: string, keys: readonly string[]): void {
    const before = this.of(groupKey);
    const attached = new Map(before.attached);
    for (const key of keys) attached.delete(key);
    this.#byGroup.set(groupKey, { ...before, attached });
  }

  entries(): IterableIterator<[string, Observation]> {
    return this.#byGroup.entries();
  }

  delete(groupKey: string): void {
    this.#byGroup.delete(groupKey);
  }
}

/** How long an attempt is put off after `attempts` failures in a row: 2 s, 4 s, … at most five minutes. */
export function backoffMs(attempts: number): number {
  return Math.min(300_000, 1000 * 2 ** Math.min(attempts, 20));
}
