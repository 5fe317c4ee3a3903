export { startAzureEmulator } from "./emulator.ts";
export type { AzureEmulator, AzureEmulatorOptions, ImdsHandle } from "./emulator.ts";
export type { ActiveFault, Fault, FaultMatch, FaultResponse, RequestFacts, ServiceName } from "./faults.ts";
export type { LogEntry, LogFilter, RequestLog } from "./request-log.ts";
export type { AzureState } from "./state/azure-state.ts";
export type {
  Seed,
  SeedApp,
  SeedIdentity,
  SeedRoleAssignment,
  SeedScaleSet,
  SeedVirtualMachine,
} from "./state/seed.ts";
export type { BucketLimit, IssuerEndpoint, Settings } from "./state/settings.ts";
