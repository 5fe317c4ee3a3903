import { Assigner } from "../src/assigner.ts";
import type { AssignerPorts, AssignOutcome, AssignRequest } from "../src/assign-request.ts";
import { identity, virtualMachine } from "../src/testing/fixtures.ts";
import { MemoryArm } from "../src/testing/memory-arm.ts";
import { MemoryLedgerStore } from "../src/testing/memory-ledger-store.ts";
import type { LedgerEntry } from "../src/ledger.ts";
import { JumpingClock } from "./jumping-clock.ts";

export const GROUP = virtualMachine("node");

/** An assigner with everything in memory; identities go by their last name. */
export function setUp(options: Partial<AssignerPorts> = {}) {
  const arm = new MemoryArm();
  const ledgers = new MemoryLedgerStore();
  const clock = new JumpingClock();
  const assigner = new Assigner({ arm, ledgers, clock, ...options });
  const assign = (names: readonly string[], more: Partial<AssignRequest> = {}): Promise<AssignOutcome> =>
    assigner.assign({ group: GROUP, desired: () => names.map(identity), isProtected: () => false, ...more });
  const attached = (group = GROUP): string[] =>
    [...arm.machine(group).identities.values()].map(({ id }) => id.slice(id.lastIndexOf("/") + 1));
  const ledgerEntries = (): Readonly<Record<string, LedgerEntry>> =>
    ledgers.ledgers.get(GROUP.key)?.ledger.entries ?? {};
  return { arm, ledgers, clock, assigner, assign, attached, ledgerEntries };
}

/** Last names of keys. */
export function namesOf(keys: Iterable<string>): string[] {
  return [...keys].map((key) => key.slice(key.lastIndexOf("/") + 1)).toSorted();
}
