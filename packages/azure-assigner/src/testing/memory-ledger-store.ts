import type { NodeGroup } from "@podid/crd-types";
import { emptyLedger, LedgerConflict } from "../ledger.ts";
import type { Ledger, LedgerStore, StoredLedger } from "../ledger.ts";

/** Ledgers in memory, with the compare-and-swap of a real store. */
export class MemoryLedgerStore implements LedgerStore {
  readonly ledgers = new Map<string, { ledger: Ledger; version: number }>();
  saves = 0;
  /** Runs before a save takes effect. */
  beforeSave: (() => void) | undefined;

  load(group: NodeGroup): Promise<StoredLedger> {
    const stored = this.ledgers.get(group.key);
    return Promise.resolve(
      stored === undefined
        ? { ledger: emptyLedger(group), version: undefined }
        : { ledger: structuredClone(stored.ledger), version: String(stored.version) },
    );
  }

  async save(group: NodeGroup, next: Ledger, version: string | undefined): Promise<StoredLedger> {
    this.beforeSave?.();
    const stored = this.ledgers.get(group.key);
    if ((stored === undefined ? undefined : String(stored.version)) !== version) {
      throw new LedgerConflict(`ledger of ${group.id} changed`);
    }
    this.saves += 1;
    const entry = { ledger: structuredClone(next), version: (stored?.version ?? 0) + 1 };
    this.ledgers.set(group.key, entry);
    return { ledger: next, version: String(entry.version) };
  }

  remove(group: NodeGroup): Promise<void> {
    this.ledgers.delete(group.key);
    return Promise.resolve();
  }
}
