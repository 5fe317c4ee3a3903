export { startKubeEmulator } from "./emulator.ts";
export type { KubeEmulator, KubeEmulatorOptions } from "./emulator.ts";
export { Faults } from "./faults.ts";
export type { FaultMatch, FaultRule } from "./faults.ts";
export { AuditLog } from "./audit-log.ts";
export type { AuditEntry } from "./audit-log.ts";
export type { PodLogRequest, PodLogs } from "./pod-log.ts";
