import type { ArmProblem } from "./arm-problem.ts";
import type { AssignOutcome, AssignRequest } from "./assign-request.ts";
import type { ComputeState } from "./compute-state.ts";
import type { Isolation } from "./isolation.ts";
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
  readonly refused = new Map<string, ArmProblem>();
  /** What of this machine is in doubt; outlives the run. */
  readonly isolation: Isolation;
  /** Keys that the identity provider knows. */
  readonly vouched = new Set<string>();
  readonly deferred = new Map<string, ArmProblem & { readonly retryAfterMs: number }>();
  /** Dead entries to detach although they are needed. */
  readonly evict = new Set<string>();
  /** Those that were detached so; each once in a run. */
  readonly evicted = new Set<string>();
  state: ComputeState | undefined;
  ledger: Ledger | undefined;
  inFlight: PlannedRequest | undefined;
  /** A PATCH is granted and not sent yet. */
  granted = false;
  /** When the machine was first seen busy. */
  busySince: number | undefined;
  /** The suspects of former runs have been asked about. */
  briefed = false;
  requests = 0;

  constructor(request: AssignRequest, isolation: Isolation) {
    this.request = request;
    this.isolation = isolation;
  }

  /** Keys that are not to be tried now. */
  get waiting(): ReadonlySet<string> {
    return new Set([...(this.request.skip?.() ?? []), ...this.refused.keys(), ...this.deferred.keys()]);
  }

  refuse(key: string, problem: ArmProblem): void {
    this.refused.set(key, problem);
    this.isolation.clear([key]);
  }

  outcome(kind: AssignOutcome["kind"], problem?: ArmProblem): AssignOutcome {
    const lookAgainAt = this.#lookAgainAt();
    return {
      kind,
      ...(this.state !== undefined && { state: this.state }),
      owned: new Set(Object.keys(this.ledger?.entries ?? {})),
      refused: new Map(this.refused),
      deferred: new Map(this.deferred),
      ...(problem !== undefined && { problem }),
      ...(lookAgainAt !== undefined && { lookAgainAt }),
      requests: this.requests,
    };
  }

  #lookAgainAt(): number | undefined {
    const { state, ledger, request } = this;
    if (state === undefined || ledger === undefined) return undefined;
    const dates = [...request.desired()].flatMap(({ key }) => {
      const entry = state.attached.has(key) ? ledger.entries[key] : undefined;
      return entry?.state === "detaching" && entry.deadline !== undefined ? [entry.deadline] : [];
    });
    return dates.length === 0 ? undefined : Math.min(...dates);
  }
}
