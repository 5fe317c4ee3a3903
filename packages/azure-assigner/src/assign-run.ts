import type { ArmProblem } from "./arm-problem.ts";
import type { AssignOutcome, AssignRequest } from "./assigner.ts";
import type { ComputeState } from "./compute-state.ts";
import type { Ledger } from "./ledger.ts";
import type { PlannedRequest } from "./plan.ts";

/** What an attempt led to. */
export type Step =
  | { readonly kind: "converged" | "fenced" | "again" }
  | { readonly kind: "failed"; readonly problem: ArmProblem }
  | {
      readonly kind: "wait";
      readonly problem: ArmProblem;
      /** Does not count against the attempts. */
      readonly patient?: boolean;
      readonly delayMs: (attempt: number) => number;
    };

/** What one call has learnt so far. */
export class Run {
  readonly request: AssignRequest;
  readonly startedAt: number;
  readonly refused = new Map<string, ArmProblem>();
  state: ComputeState | undefined;
  ledger: Ledger | undefined;
  inFlight: PlannedRequest | undefined;
  requests = 0;

  constructor(request: AssignRequest, startedAt: number) {
    this.request = request;
    this.startedAt = startedAt;
  }

  outcome(kind: AssignOutcome["kind"], problem?: ArmProblem): AssignOutcome {
    return {
      kind,
      ...(this.state !== undefined && { state: this.state }),
      owned: new Set(Object.keys(this.ledger?.entries ?? {})),
      refused: this.refused,
      ...(problem !== undefined && { problem }),
      requests: this.requests,
    };
  }
}
