import type { Arm, AssignerLimits, BudgetLimits, GuardMemory, IdentityDirectory } from "@podid/azure-assigner";
import type { Clock, EventRecorder, KubeTransport } from "@podid/kube";
import type { Logger, Tracing } from "@podid/service";
import type { Lifecycle } from "./drain/lifecycle.ts";
import type { AdoptionMode } from "./groups/attacher.ts";
import type { MicMetrics } from "./metrics.ts";
import type { StatusTiming } from "./status/status-reporter.ts";
import type { World } from "./world.ts";

export interface TermSettings {
  readonly forceNamespaced: boolean;
  readonly dryRun: boolean;
  readonly adoptUpstream: AdoptionMode;
  /** Namespace of the ledgers. */
  readonly namespace: string;
  readonly createDeleteBatch: number;
  readonly reconcileIntervalMs: number;
  /** How often everything is looked through again although nothing was heard of. */
  readonly syncRetryMs: number;
  /** How long a look at ARM lets new pods go without another one. */
  readonly trustMs: number;
  /** Client ids or ARM ids of identities that are never detached and not for pods, in any casing. */
  readonly protectedIdentities: readonly string[];
  readonly assignerLimits?: Partial<AssignerLimits>;
  /** What MIC allows itself of ARM; see the package's DEFAULT_BUDGET. */
  readonly armBudget?: Partial<BudgetLimits>;
  /** How long an identity that nobody needs any more stays attached; 0 when absent. */
  readonly detachDelayMs?: number;
  readonly statusTiming?: Partial<StatusTiming>;
}

export interface TermPorts {
  readonly world: World;
  readonly transport: KubeTransport;
  readonly arm: Arm;
  /** What this process knows of ARM's patience. */
  readonly armMemory: GuardMemory;
  readonly directory?: IdentityDirectory;
  readonly events: Pick<EventRecorder, "record">;
  readonly metrics: MicMetrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Why nothing may be written, or undefined while leading safely. */
  readonly fenced: () => string | undefined;
  readonly epoch: () => number;
  /** Issuer of the cluster's ServiceAccount tokens, if known. */
  readonly issuer?: () => string | undefined;
  readonly tracing?: Tracing;
  /** Whether podid is being uninstalled; never when absent. */
  readonly lifecycle?: Pick<Lifecycle, "uninstalling" | "onChange" | "onSeen">;
}
