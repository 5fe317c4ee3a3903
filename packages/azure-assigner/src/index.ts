export type {
  Arm,
  FollowOptions,
  IdentityDirectory,
  IdentityFacts,
  MachineScope,
  PatchOptions,
  TurnOptions,
  WriteGate,
  WriteTurn,
} from "./arm.ts";
export { ArmError } from "./arm-problem.ts";
export type { ArmProblem } from "./arm-problem.ts";
export { armProblem } from "./arm-response.ts";
export type { ArmFailure } from "./arm-response.ts";
export { DEFAULT_LIMITS } from "./assign-request.ts";
export type { AssignerLimits, AssignerPorts, AssignOutcome, AssignRequest } from "./assign-request.ts";
export { Assigner } from "./assigner.ts";
export type { Clock } from "./clock.ts";
export { computeState } from "./compute-state.ts";
export type { AttachedIdentity, ComputeBody, ComputeState, IdentityRef } from "./compute-state.ts";
export { hasSystemAssigned, identityKind } from "./identity-type.ts";
export type { IdentityKind } from "./identity-type.ts";
export { DEFAULT_BUDGET } from "./guard/arm-budget.ts";
export type { BudgetLimits } from "./guard/arm-budget.ts";
export { DEFAULT_CIRCUIT } from "./guard/circuit-breaker.ts";
export type { CircuitLimits, CircuitState } from "./guard/circuit-breaker.ts";
export { GuardMemory } from "./guard/guard-memory.ts";
export type { GuardMemoryOptions } from "./guard/guard-memory.ts";
export { GuardedArm } from "./guard/guarded-arm.ts";
export type { GuardedArmOptions, GuardState } from "./guard/guarded-arm.ts";
export { GuardedDirectory } from "./guard/guarded-directory.ts";
export type { BucketLimit } from "./guard/token-bucket.ts";
export {
  adopt,
  emptyLedger,
  LedgerConflict,
  raiseEpoch,
  recordIntent,
  recordResult,
  recordRunning,
  sameLedger,
  settle,
} from "./ledger.ts";
export type { Ledger, LedgerEntry, LedgerStore, RunningOperation, StoredLedger } from "./ledger.ts";
export { isSettled } from "./nothing-to-do.ts";
export { MAX_ENTRIES_PER_REQUEST, plan } from "./plan.ts";
export type { IdentityPatch, Plan, PlanInput, PlannedRequest } from "./plan.ts";
export { DEFAULT_POLL_SCHEDULE, pollDelay } from "./poll-schedule.ts";
export type { PollSchedule } from "./poll-schedule.ts";
export { refusedIdentities } from "./refused-identities.ts";
export { parseRetryAfter } from "./retry-after.ts";
