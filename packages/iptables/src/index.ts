export { readBackends, type Backend, type Backends, type SavedBackend } from "./backend.ts";
export { flushMetadataConntrack, type ConntrackFlush } from "./conntrack.ts";
export {
  desiredAbsence,
  desiredRules,
  GUARD_CHAIN,
  guardRules,
  HOST_CHAIN,
  LOOPBACK_CHAIN,
  REDIRECT_CHAIN,
  SHARED_CHAIN,
  type DesiredChain,
  type DesiredRules,
} from "./desired-rules.ts";
export { systemExec, type Exec, type ExecResult } from "./exec.ts";
export { IptablesError } from "./iptables-error.ts";
export { NodeRules, type Log } from "./node-rules.ts";
export { planRestore, type PlanOptions, type RestorePlan } from "./restore-plan.ts";
export type { HostNetworkOptions, RuleOptions } from "./rule-options.ts";
export type { Rule } from "./rule.ts";
export { parseSave, type SavedRules, type SavedTable } from "./saved-rules.ts";
