export { MemoryArm } from "./testing/memory-arm.ts";
export type { MemoryMachine } from "./testing/memory-arm.ts";
export { MemoryLedgerStore } from "./testing/memory-ledger-store.ts";
