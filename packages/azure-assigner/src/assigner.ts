import type { AssignerLimits, AssignerPorts, AssignOutcome, AssignRequest } from "./assign-request.ts";
import { DEFAULT_LIMITS } from "./assign-request.ts";
import { Run } from "./assign-run.ts";
import type { Step } from "./assign-run.ts";
import { ArmError } from "./arm-problem.ts";
import type { ArmProblem } from "./arm-problem.ts";
import { sleep, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { ComputeState } from "./compute-state.ts";
import { examine, planFor, verify } from "./examination.ts";
import { Isolation } from "./isolation.ts";
import {
  adopt,
  LedgerConflict,
  raiseEpoch,
  recordIntent,
  recordResult,
  recordRunning,
  sameLedger,
  settle,
} from "./ledger.ts";
import type { Ledger, StoredLedger } from "./ledger.ts";
import { deletingProblem, updatingProblem } from "./machine-problem.ts";
import type { Plan, PlannedRequest } from "./plan.ts";
import { afterRefusal } from "./refusal.ts";
import { isBusy, onTrialProblem } from "./staleness.ts";

/** Waiting longer than this for a turn makes the picture of the machine too old to act on. */
const FRESH_MS = 1000;

/**
 * Brings one VM or scale set to what its pods need, and writes down what it does before it does it.
 * At most one call per group at a time; calls for different groups are independent.
 */
export class Assigner {
  readonly #ports: AssignerPorts;
  readonly #clock: Clock;
  readonly #limits: AssignerLimits;
  readonly #isolations = new Map<string, Isolation>();

  constructor(ports: AssignerPorts) {
    this.#ports = ports;
    this.#clock = ports.clock ?? systemClock;
    this.#limits = { ...DEFAULT_LIMITS, ...ports.limits };
  }

  /** @throws the signal's reason when aborted, and whatever the ledger store throws besides conflicts */
  async assign(request: AssignRequest): Promise<AssignOutcome> {
    const { key } = request.group;
    const isolation = this.#isolations.get(key) ?? new Isolation();
    const run = new Run(request, isolation);
    try {
      return await this.#assign(run);
    } finally {
      if (run.granted) this.#ports.gate?.leave(request.group);
      if (isolation.idle) this.#isolations.delete(key);
      else this.#isolations.set(key, isolation);
    }
  }

  async #assign(run: Run): Promise<AssignOutcome> {
    const { request } = run;
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
          if (!step.patient) attempt += 1;
          if (attempt >= this.#limits.maxAttempts) return run.outcome("failed", step.problem);
          await sleep(this.#clock, step.delayMs(Math.max(1, attempt)), request.signal);
      }
    }
  }

  /** One look at the machine and the requests that follow from it. */
  async #attempt(run: Run): Promise<Step> {
    const { request } = run;
    try {
      const stored = await this.#takeOver(run, await this.#ports.ledgers.load(request.group));
      if (stored === undefined) return { kind: "fenced" };
      const interrupted = await this.#followRunning(run, stored.ledger);
      if (interrupted !== undefined) return interrupted;

      const state = await this.#ports.arm.read(request.group, request.signal);
      run.state = state;
      if (state.provisioningState?.toLowerCase() === "deleting")
        return { kind: "failed", problem: deletingProblem(state) };
      if (!isBusy(state)) run.busySince = undefined;

      run.ledger = this.#settle(run, stored.ledger, state);
      await examine(run, state, this.#ports.directory);
      const planned = planFor(run, state, run.ledger);
      if (request.dryRun === true) {
        request.onPlan?.(planned, state);
        return { kind: "converged" };
      }
      if (planned.requests.length === 0) return await this.#nothingToSend(run, stored, state);
      return this.#hold(run, state) ?? (await this.#carryOut(run, stored, planned, state));
    } catch (error) {
      if (error instanceof LedgerConflict) {
        return { kind: "wait", problem: ledgerProblem(error), delayMs: () => this.#limits.conflictDelayMs };
      }
      if (error instanceof ArmError) return await this.#afterError(run, error.problem);
      throw error;
    }
  }

  /** Raises the ledger's epoch, so that whatever a former leader still wants to write down meets a conflict. Undefined: a later one leads. */
  async #takeOver({ request }: Run, stored: StoredLedger): Promise<StoredLedger | undefined> {
    const { epoch, group } = request;
    if (epoch === undefined || request.dryRun === true || stored.version === undefined) return stored;
    if (stored.ledger.epoch > epoch) return undefined;
    if (stored.ledger.epoch === epoch) return stored;
    if (request.fenced?.() !== undefined) return undefined;
    return await this.#ports.ledgers.save(group, raiseEpoch(stored.ledger, epoch), stored.version);
  }

  /** What was begun and not heard the end of is followed, instead of asking for it a second time. */
  async #followRunning({ request }: Run, { running }: Ledger): Promise<Step | undefined> {
    if (running === undefined || request.dryRun === true || this.#clock.now() >= running.deadline) return undefined;
    try {
      await this.#ports.arm.resume(request.group, running.operation, { signal: request.signal });
    } catch (error) {
      if (!(error instanceof ArmError)) throw error;
      // However it ended, the machine's state tells; only while ARM cannot be asked at all there is nothing to plan from.
      const { problem } = error;
      if (problem.kind === "throttled" || problem.kind === "unauthenticated") return { kind: "failed", problem };
    }
    return undefined;
  }

  #settle({ request }: Run, stored: Ledger, state: ComputeState): Ledger {
    const settled = settle(stored, state, this.#clock.now());
    const ledger = raiseEpoch(settled, Math.max(settled.epoch, request.epoch ?? 0));
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

  async #nothingToSend(run: Run, stored: StoredLedger, state: ComputeState): Promise<Step> {
    if (run.ledger !== undefined) await this.#saveIfChanged(run, stored, run.ledger);
    return this.#end(run, state);
  }

  #end(run: Run, state: ComputeState): Step {
    return (verify(run, state) ? undefined : this.#hold(run, state)) ?? { kind: "converged" };
  }

  async #carryOut(run: Run, before: StoredLedger, planned: Plan, state: ComputeState): Promise<Step> {
    const { request } = run;
    let stored = before;
    let ledger = run.ledger ?? before.ledger;
    let announced = false;
    for (const patch of planned.requests) {
      const turn = await this.#turn(run, patch);
      if (turn !== undefined) return turn;
      if (!announced) request.onPlan?.(planned, state);
      announced = true;
      const deadline = this.#clock.now() + this.#limits.requestLifeMs;
      if (request.fenced?.() !== undefined) return { kind: "fenced" };
      const intent = recordIntent(ledger, patch, deadline, run.state?.etag);
      stored = await this.#ports.ledgers.save(request.group, intent, stored.version);
      run.ledger = stored.ledger;
      const needed = new Set([...request.desired()].map(({ key }) => key));
      if (patch.detach.some(({ key }) => needed.has(key) && !run.evict.has(key))) return { kind: "again" };
      if (request.fenced?.() !== undefined) return { kind: "fenced" };
      if (patch.detach.length > 0) request.onDetaching?.(patch.detach.map(({ key }) => key));
      const sent = await this.#send(run, patch, stored, deadline);
      stored = sent.stored;
      ledger = recordResult(stored.ledger, patch, sent.state);
      run.ledger = ledger;
      for (const { key } of patch.detach) if (run.evict.delete(key)) run.evicted.add(key);
      run.isolation.clear(patch.attach.map(({ key }) => key));
      request.onProgress?.(run.outcome("converged"));
    }
    await this.#saveIfChanged(run, stored, ledger);
    // What was evicted is to be attached again, and what is in doubt to be tried.
    if (run.evicted.size > 0 || run.isolation.next(run.waiting) !== undefined || planned.requests.length > 1)
      return { kind: "again" };
    return this.#end(run, run.state ?? state);
  }

  /** Undefined: the PATCH may go now. */
  async #turn(run: Run, { attach }: PlannedRequest): Promise<Step | undefined> {
    const { gate } = this.#ports;
    const { request, isolation } = run;
    if (gate === undefined || run.granted) return undefined;
    const onTrial = attach.some(({ key }) => isolation.suspects.has(key));
    const turn = await gate.enter(request.group, {
      ...(onTrial && { spare: this.#limits.spareForHealthy, patient: false }),
      ...(request.signal !== undefined && { signal: request.signal }),
    });
    if (turn.kind === "refused") return { kind: "failed", problem: turn.problem };
    if (turn.kind === "later") {
      for (const ref of attach) run.deferred.set(ref.key, onTrialProblem(ref, turn.retryAfterMs));
      return { kind: "again" };
    }
    run.granted = true;
    return turn.waitedMs > FRESH_MS ? { kind: "again" } : undefined;
  }

  /** Another's operation on the machine is let finish, up to a limit; then `If-Match` has to decide. */
  #hold(run: Run, state: ComputeState): Step | undefined {
    const { request } = run;
    if (!isBusy(state)) return undefined;
    run.busySince ??= this.#clock.now();
    if (this.#clock.now() - run.busySince >= this.#limits.holdUpdatingMs) return undefined;
    const left = run.busySince + this.#limits.holdUpdatingMs - this.#clock.now();
    const waited = this.#clock.now() - run.busySince;
    const delay = Math.max(1, Math.min(5000, left, Math.max(500, waited)));
    // What is attached already need not wait with the rest.
    request.onProgress?.(run.outcome("converged"));
    return { kind: "wait", problem: updatingProblem(state), patient: true, delayMs: () => delay };
  }

  async #send(
    run: Run,
    patch: PlannedRequest,
    before: StoredLedger,
    deadline: number,
  ): Promise<{ readonly state: ComputeState; readonly stored: StoredLedger }> {
    const { arm, ledgers } = this.#ports;
    const { request } = run;
    run.inFlight = patch;
    run.requests += 1;
    run.granted = false;
    // Written while ARM works; a failure to write costs the successor a PATCH at worst.
    let stored = Promise.resolve(before);
    try {
      const state = await arm.patch(request.group, patch.patch, {
        ifMatch: run.state?.etag,
        signal: request.signal,
        onAccepted: (operation) => {
          if (request.fenced?.() !== undefined) return;
          stored = ledgers
            .save(request.group, recordRunning(before.ledger, { operation, deadline }), before.version)
            .catch((error: unknown) => {
              if (error instanceof LedgerConflict) throw error;
              return before;
            });
          stored.catch(() => {});
        },
      });
      run.inFlight = undefined;
      run.state = state;
      return { state, stored: await stored };
    } catch (error) {
      await stored.catch(() => {});
      throw error;
    }
  }

  async #afterError(run: Run, problem: ArmProblem): Promise<Step> {
    switch (problem.kind) {
      case "conflict":
        return {
          kind: "wait",
          problem,
          delayMs: (attempt) => problem.retryAfterMs ?? this.#limits.conflictDelayMs * 2 ** (attempt - 1),
        };
      case "identities-refused":
        return await afterRefusal(run, problem, this.#ports.directory);
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
