import { deepEqual, equal, notEqual, rejects } from "node:assert/strict";
import { emptyLedger, LedgerConflict } from "../ledger.ts";
import type { LedgerStore } from "../ledger.ts";
import type { ContractCase } from "./contract.ts";
import { identity, scaleSet, virtualMachine } from "./fixtures.ts";

/** What every {@link LedgerStore} does. Each case wants a store without ledgers. */
export const LEDGER_STORE_CONTRACT: readonly ContractCase<LedgerStore>[] = [
  {
    name: "an unknown machine has an empty ledger without a version",
    async check(store) {
      const group = virtualMachine("new");
      deepEqual(await store.load(group), { ledger: emptyLedger(group), version: undefined });
    },
  },
  {
    name: "what was saved is loaded, per machine",
    async check(store) {
      const [one, two] = [scaleSet("one"), scaleSet("two")];
      const ledger = {
        ...emptyLedger(one),
        adopted: true,
        uniqueId: "u",
        entries: { [identity("a").key]: { id: identity("a").id, state: "pending", origin: "podid", deadline: 7 } },
      } as const;
      const saved = await store.save(one, ledger, undefined);
      deepEqual(saved.ledger, ledger);
      deepEqual(await store.load(one), saved);
      deepEqual((await store.load(two)).ledger, emptyLedger(two));
    },
  },
  {
    name: "each save has a new version, and only the newest may be replaced",
    async check(store) {
      const group = virtualMachine("raced");
      const first = await store.save(group, emptyLedger(group), undefined);
      const second = await store.save(group, { ...first.ledger, adopted: true }, first.version);
      notEqual(first.version, second.version);
      await rejects(store.save(group, first.ledger, first.version), LedgerConflict);
      await rejects(store.save(group, first.ledger, undefined), LedgerConflict);
      equal((await store.load(group)).ledger.adopted, true);
    },
  },
  {
    name: "the same machine in another casing has the same ledger",
    async check(store) {
      const group = virtualMachine("cased");
      await store.save(group, { ...emptyLedger(group), epoch: 4 }, undefined);
      const loud = { ...group, id: group.id.toUpperCase(), name: group.name.toUpperCase() };
      equal((await store.load(loud)).ledger.epoch, 4);
    },
  },
  {
    name: "a removed ledger is forgotten, and removing nothing is no error",
    async check(store) {
      const group = virtualMachine("gone");
      await store.save(group, emptyLedger(group), undefined);
      await store.remove(group);
      await store.remove(group);
      equal((await store.load(group)).version, undefined);
    },
  },
];
