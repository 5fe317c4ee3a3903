import type { NodeGroup } from "@podid/crd-types";
import { describe, test } from "vitest";
import { ARM_CONTRACT } from "./testing/arm-contract.ts";
import type { ArmWorld } from "./testing/arm-contract.ts";
import { identity, scaleSet, virtualMachine } from "./testing/fixtures.ts";
import { LEDGER_STORE_CONTRACT } from "./testing/ledger-store-contract.ts";
import { MemoryArm } from "./testing/memory-arm.ts";
import { MemoryLedgerStore } from "./testing/memory-ledger-store.ts";

describe("ledgers in memory", () => {
  test.for(LEDGER_STORE_CONTRACT)("$name", ({ check }) => check(new MemoryLedgerStore()));
});

describe("ARM in memory", () => {
  test.for(ARM_CONTRACT)("$name", ({ check }) => check(memoryWorld()));
});

function memoryWorld(): ArmWorld {
  const arm = new MemoryArm();
  const known = new Set<string>();
  arm.known = known;
  let count = 0;
  const named = (kind: NodeGroup["kind"]): NodeGroup =>
    (kind === "virtualMachine" ? virtualMachine : scaleSet)(`m${(count += 1)}`);
  return {
    arm,
    machine(kind, type) {
      const group = named(kind);
      arm.machine(group).type = type;
      return Promise.resolve(group);
    },
    identity() {
      const { id, key } = identity(`Id${(count += 1)}`);
      known.add(key);
      return Promise.resolve(id);
    },
    missingIdentity: () => identity("Missing").id,
    missingMachine() {
      const group = named("virtualMachine");
      arm.missing.add(group.key);
      return group;
    },
    setProvisioningState(group, state) {
      arm.machine(group).provisioningState = state;
      return Promise.resolve();
    },
  };
}
