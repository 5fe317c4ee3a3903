import type { NodeGroup } from "@podid/crd-types";
import type { Arm, IdentityDirectory } from "./arm.ts";
import { culprits } from "./culprits.ts";
import { ArmError } from "./arm-problem.ts";
import type { ArmProblem } from "./arm-problem.ts";
import { sleep, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { AttachedIdentity, ComputeState, IdentityRef } from "./compute-state.ts";
import { adopt, LedgerConflict, recordIntent, recordResult, sameLedger, settle } from "./ledger.ts";
import type { Ledger, LedgerStore, StoredLedger } from "./ledger.ts";
import { Run } from "./assign-run.ts";
import type { Step } from "./assign-run.ts";
import { deletingProblem, updatingProblem } from "./machine-problem.ts";
import { plan } from "./plan.ts";
import type { Plan, PlannedRequest } from "./plan.ts";

export interface AssignerLimits {
  /** Attempts after conflicts, each with a fresh look at the machine. */
  readonly maxAttempts: number;
  /** Pause after the first conflict; doubles with every further one. */
  readonly conflictDelayMs: number;
  /** How long another's running operation on the machine is waited for before trying anyway. */
  readonly holdUpdatingMs: number;
  /** How long a request may still change the machine after it was sent; longer than the poll deadline. */
  readonly requestLifeMs: number;
}

export const DEFAULT_LIMITS: AssignerLimits = {
  maxAttempts: 6,
  conflictDelayMs: 500,
  holdUpdatingMs: 120_000,
  requestLifeMs: 16 * 60_000,
};

export interface AssignerPorts {
  readonly arm: Arm;
  readonly ledgers: LedgerStore;
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
  /** Leader epoch to record; a lower one than the ledger's is refused. */
  readonly epoch?: number;
  /** Why nothing may be written any more (the lease is about to run out), or undefined. Asked right before every write. */
  readonly fenced?: () => string | undefined;
  /** Called when a plan is about to be carried out, or, in a dry run, would be. */
  readonly onPlan?: (plan: Plan, state: ComputeState) => void;
  /** Called synchronously before a request that detaches: from now on these identities cannot be relied on. */
  readonly onDetaching?: (keys: readonly string[]) => void;
  /** Called once, when what upstream attached is taken over. */
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
  /** PATCHes sent. */
  readonly requests: number;
}

/**
 * Brings one VM or scale set to what its pods need, and writes down what it does before it does it.
 * At most one call per group at a time; calls for different groups are independent.
 */
export class Assigner {
  readonly #ports: AssignerPorts;
  readonly #clock: Clock;
  readonly #limits: AssignerLimits;

  constructor(ports: AssignerPorts) {
    this.#ports = ports;
    this.#clock = ports.clock ?? systemClock;
    this.#limits = { ...DEFAULT_LIMITS, ...ports.limits };
  }

  /** @throws the signal's reason when aborted, and whatever the ledger store throws besides conflicts */
  async assign(request: AssignRequest): Promise<AssignOutcome> {
    const run = new Run(request, this.#clock.now());
    let attempt = 0;
    for (;;) {
      request.signal?.throwIfAborted();
      const step = await this.#attempt(run);
      switch (step.kind) {
        case "converged":
        case "fenced":
          return run.outcome(step.kind);
        case "failed":
          return run.outcome("failed", step.problem);
        case "again":
          continue;
        case "wait":
          attempt += 1;
          if (attempt >= this.#limits.maxAttempts && !step.patient) return run.outcome("failed", step.problem);
          await sleep(this.#clock, step.delayMs(attempt), request.signal);
      }
    }
  }

  /** One look at the machine and the requests that follow from it. */
  async #attempt(run: Run): Promise<Step> {
    const { request } = run;
    const { arm, ledgers } = this.#ports;
    try {
      let stored = await ledgers.load(request.group);
      const state = await arm.read(request.group, request.signal);
      run.state = state;
      if (state.provisioningState?.toLowerCase() === "deleting")
        return { kind: "failed", problem: deletingProblem(state) };

      const settled = this.#settle(run, stored.ledger, state);
      run.ledger = settled;
      const planned = this.#plan(run, state, settled);
      if (request.dryRun === true || planned.requests.length === 0) {
        if (request.dryRun === true) request.onPlan?.(planned, state);
        else await this.#saveIfChanged(run, stored, settled);
        return this.#verify(run) ?? { kind: "converged" };
      }
      const held = this.#hold(run, state);
      if (held !== undefined) return held;

      request.onPlan?.(planned, state);
      let ledger = settled;
      for (const patch of planned.requests) {
        const deadline = this.#clock.now() + this.#limits.requestLifeMs;
        if (request.fenced?.() !== undefined) return { kind: "fenced" };
        stored = await ledgers.save(request.group, recordIntent(ledger, patch, deadline), stored.version);
        run.ledger = stored.ledger;
        const needed = new Set([...request.desired()].map(({ key }) => key));
        if (patch.detach.some(({ key }) => needed.has(key))) return { kind: "again" };
        if (request.fenced?.() !== undefined) return { kind: "fenced" };
        if (patch.detach.length > 0) request.onDetaching?.(patch.detach.map(({ key }) => key));
        const after = await this.#send(run, patch);
        ledger = recordResult(stored.ledger, patch, after);
        run.ledger = ledger;
      }
      await this.#saveIfChanged(run, stored, ledger);
      return this.#verify(run) ?? { kind: "converged" };
    } catch (error) {
      if (error instanceof LedgerConflict) {
        return { kind: "wait", problem: ledgerProblem(error), delayMs: () => this.#limits.conflictDelayMs };
      }
      if (error instanceof ArmError) return await this.#afterError(run, error.problem);
      throw error;
    }
  }

  #settle(run: Run, stored: Ledger, state: ComputeState): Ledger {
    const { request } = run;
    const settled = settle(stored, state, this.#clock.now());
    const ledger = { ...settled, epoch: Math.max(settled.epoch, request.epoch ?? 0) };
    if (ledger.adopted) return ledger;
    const adopted = adopt(
      ledger,
      state,
      [...(request.adoptable?.() ?? [])].filter((key) => {
        const attached = state.attached.get(key);
        return attached !== undefined && !request.isProtected(attached);
      }),
    );
    const keys = Object.keys(adopted.entries).filter((key) => !Object.hasOwn(ledger.entries, key));
    if (keys.length > 0) request.onAdopt?.(keys);
    return adopted;
  }

  #plan({ request, refused }: Run, state: ComputeState, ledger: Ledger): Plan {
    return plan({
      current: state,
      desired: request.desired(),
      ledger,
      isProtected: request.isProtected,
      skip: new Set([...(request.skip?.() ?? []), ...refused.keys()]),
    });
  }

  /** Another's operation on the machine is let finish, up to a limit; then `If-Match` has to decide. */
  #hold(run: Run, state: ComputeState): Step | undefined {
    if (state.provisioningState?.toLowerCase() !== "updating") return undefined;
    if (this.#clock.now() - run.startedAt >= this.#limits.holdUpdatingMs) return undefined;
    const problem = updatingProblem(state);
    return { kind: "wait", problem, patient: true, delayMs: (attempt) => Math.min(5000, 500 * 2 ** (attempt - 1)) };
  }

  async #send(run: Run, patch: PlannedRequest): Promise<ComputeState> {
    const { arm } = this.#ports;
    const { request } = run;
    run.inFlight = patch;
    run.requests += 1;
    const state = await arm.patch(request.group, patch.patch, { ifMatch: run.state?.etag, signal: request.signal });
    run.inFlight = undefined;
    run.state = state;
    return state;
  }

  /** An identity that has no client id although no operation runs was deleted and made again: it serves no tokens until it is re-added. */
  #verify(run: Run): Step | undefined {
    const { request, state } = run;
    if (state === undefined) return undefined;
    const nameless = [...request.desired()].filter(({ key }) => {
      const attached = state.attached.get(key);
      return attached !== undefined && attached.clientId === undefined;
    });
    if (nameless.length === 0) return undefined;
    const held = this.#hold(run, state);
    if (held !== undefined) return held;
    for (const { key, id } of nameless) {
      run.refused.set(key, {
        kind: "identities-refused",
        status: 200,
        code: "IdentityWithoutClientId",
        message: `${id} is attached but has no client id; it was probably deleted and made again: detach and attach it`,
        identities: [key],
      });
    }
    return undefined;
  }

  async #afterError(run: Run, problem: ArmProblem): Promise<Step> {
    switch (problem.kind) {
      case "conflict":
        return {
          kind: "wait",
          problem,
          delayMs: (attempt) => problem.retryAfterMs ?? this.#limits.conflictDelayMs * 2 ** (attempt - 1),
        };
      case "identities-refused": {
        const asked = run.inFlight?.attach ?? [];
        const refused = await culprits(asked, problem, this.#ports.directory, run.request.signal);
        for (const key of refused) run.refused.set(key, problem);
        return refused.length > 0 ? { kind: "again" } : { kind: "failed", problem };
      }
      default:
        return { kind: "failed", problem };
    }
  }

  async #saveIfChanged(run: Run, stored: StoredLedger, next: Ledger): Promise<void> {
    run.ledger = next;
    const untouched = stored.version === undefined && Object.keys(next.entries).length === 0;
    if (untouched || sameLedger(stored.ledger, next) || run.request.fenced?.() !== undefined) return;
    await this.#ports.ledgers.save(run.request.group, next, stored.version);
  }
}

function ledgerProblem(error: LedgerConflict): ArmProblem {
  return { kind: "conflict", status: 409, code: "LedgerConflict", message: error.message };
}
