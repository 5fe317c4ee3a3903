import type { NodeGroup } from "@podid/crd-types";
import type { Arm, IdentityDirectory, WriteGate } from "./arm.ts";
import type { ArmProblem } from "./arm-problem.ts";
import type { Clock } from "./clock.ts";
import type { AttachedIdentity, ComputeState, IdentityRef } from "./compute-state.ts";
import type { LedgerStore } from "./ledger.ts";
import type { Plan } from "./plan.ts";

export interface AssignerLimits {
  /** Attempts after conflicts, each with a fresh look at the machine. */
  readonly maxAttempts: number;
  /** Pause after the first conflict; doubles with every further one. */
  readonly conflictDelayMs: number;
  /** How long another's running operation on the machine is waited for before trying anyway. */
  readonly holdUpdatingMs: number;
  /** How long a request may still change the machine after it was sent; longer than the poll deadline. */
  readonly requestLifeMs: number;
  /** PATCHes of the machine's budget that trials of doubtful identities leave to the others. */
  readonly spareForHealthy: number;
}

export const DEFAULT_LIMITS: AssignerLimits = {
  maxAttempts: 6,
  conflictDelayMs: 500,
  holdUpdatingMs: 120_000,
  requestLifeMs: 16 * 60_000,
  spareForHealthy: 4,
};

export interface AssignerPorts {
  readonly arm: Arm;
  readonly ledgers: LedgerStore;
  /** Asked before each PATCH is written down; absent: every one may go. */
  readonly gate?: WriteGate;
  /** Asked who of several does not exist when ARM's refusal names nobody. */
  readonly directory?: IdentityDirectory;
  readonly clock?: Clock;
  readonly limits?: Partial<AssignerLimits>;
}

export interface AssignRequest {
  readonly group: NodeGroup;
  /** What the group's pods need now. Asked again right before every request, because pods come and go while ARM works. */
  readonly desired: () => Iterable<IdentityRef>;
  /** Immutable, cluster and kept identities: never detached. */
  readonly isProtected: (identity: AttachedIdentity) => boolean;
  /** Keys of the identities that upstream's controller attached to this group; asked once in the life of a ledger. */
  readonly adoptable?: () => Iterable<string>;
  /** Keys that have to wait (they were refused lately): neither attached nor detached. */
  readonly skip?: () => ReadonlySet<string>;
  /** Keys that were refused before and may be tried again: apart from the others, so that they spoil nobody's request. */
  readonly suspects?: () => Iterable<string>;
  /** Leader epoch: the ledger's is raised to it before anything is planned, and a ledger with a higher one belongs to a later leader. */
  readonly epoch?: number;
  /** Why nothing may be written any more (the lease is about to run out), or undefined. Asked right before every write. */
  readonly fenced?: () => string | undefined;
  /** Called when a plan is about to be carried out, or, in a dry run, would be. */
  readonly onPlan?: (plan: Plan, state: ComputeState) => void;
  /** Called synchronously before a request that detaches: from now on these identities cannot be relied on. */
  readonly onDetaching?: (keys: readonly string[]) => void;
  /** Called after each request that changed the machine, and while another's operation is waited for: how far it came; more may follow. */
  readonly onProgress?: (outcome: AssignOutcome) => void;
  /** Called once, when what upstream attached is taken over; before that is written down. */
  readonly onAdopt?: (keys: readonly string[]) => void;
  /** Plan only; no ledger, no ARM writes. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

/** How far it came. The machine's identities are in `state` even after a failure, if it could be read at all. */
export interface AssignOutcome {
  /**
   * - `converged`: nothing is left to do but for `refused`.
   * - `failed`: see `problem`.
   * - `fenced`: not leader any more; nothing more was written.
   */
  readonly kind: "converged" | "failed" | "fenced";
  readonly state?: ComputeState;
  /** Lower-cased ids that the ledger owns. */
  readonly owned: ReadonlySet<string>;
  /** Identities that ARM refuses, by key. */
  readonly refused: ReadonlyMap<string, ArmProblem>;
  readonly problem?: ArmProblem;
  /** Neither attached nor to blame: tried apart from the others when the machine's budget has room again, by key. */
  readonly deferred: ReadonlyMap<string, ArmProblem & { readonly retryAfterMs: number }>;
  /** Milliseconds since the epoch: a former leader's detach may come true until then, look again. */
  readonly lookAgainAt?: number;
  /** PATCHes sent. */
  readonly requests: number;
}
