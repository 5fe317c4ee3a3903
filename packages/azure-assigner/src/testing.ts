export { ARM_CONTRACT } from "./testing/arm-contract.ts";
export type { ArmWorld } from "./testing/arm-contract.ts";
export type { ContractCase } from "./testing/contract.ts";
export { LEDGER_STORE_CONTRACT } from "./testing/ledger-store-contract.ts";
export { MemoryArm } from "./testing/memory-arm.ts";
export type { MemoryMachine } from "./testing/memory-arm.ts";
export { MemoryLedgerStore } from "./testing/memory-ledger-store.ts";
