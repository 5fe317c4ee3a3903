import { ArmError } from "@podid/azure-assigner";
import type { ComputeState, MachineScope } from "@podid/azure-assigner";
import type { NodeGroup } from "@podid/crd-types";
import type { Clock } from "@podid/kube";
import type { Logger } from "@podid/service";
import { scopeKey, unitsOf } from "./units.ts";
import type { ReconcileUnit } from "./units.ts";

export interface ReconcilerOptions {
  /** Every group that has something of ours or should have; asked at the beginning of each round. */
  readonly groups: () => Iterable<NodeGroup>;
  readonly list: (scope: MachineScope, signal: AbortSignal) => Promise<readonly ComputeState[]>;
  /** Reads one machine and does what is needed. */
  readonly look: (groupKey: string) => void;
  /** Tells whether anything was done with the group between two moments. */
  readonly turn: (groupKey: string) => number;
  /** Compares a group with what a list said of it; false: it needs a closer look. */
  readonly compare: (groupKey: string, state: ComputeState, turn: number) => Promise<boolean>;
  readonly intervalMs: number;
  /** What MIC allows itself of a subscription, of which this is half at most; what ARM grants when absent. */
  readonly readsPerSecond?: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly pace?: Partial<ReconcilePace>;
}

export interface ReconcilePace {
  /** Least time between two units of a subscription. */
  readonly spacingMs: number;
  /** When the second round begins at the latest: what a deposed leader had under way has come true by then. */
  readonly verifyAgainMs: number;
  /** How long the second round takes at most, if its spacing allows. */
  readonly verifySpanMs: number;
}

/** Half of the 25 reads a second that ARM grants a subscription. */
export const DEFAULT_PACE: ReconcilePace = { spacingMs: 80, verifyAgainMs: 120_000, verifySpanMs: 60_000 };

/**
 * Compares every group with Azure's own state, again and again. The first round of a leader goes as fast as its share of ARM's
 * budget allows, a second one follows soon, and from then on each takes the whole interval, evenly spread.
 */
export class Reconciler {
  readonly #o: ReconcilerOptions;
  readonly #pace: ReconcilePace;
  readonly #stopped = new AbortController();
  /** Resource groups that may not be listed; their machines are read one by one for the rest of the term. */
  readonly #unlisted = new Set<string>();
  readonly #timers = new Set<{ cancel(): void }>();
  #round = 0;

  constructor(options: ReconcilerOptions) {
    this.#o = options;
    const pace = { ...DEFAULT_PACE, ...options.pace };
    const { readsPerSecond } = options;
    // Pods wait for the same reads.
    const spacingMs = readsPerSecond === undefined ? 0 : 2000 / readsPerSecond;
    this.#pace = { ...pace, spacingMs: Math.max(pace.spacingMs, spacingMs) };
  }

  start(): void {
    this.#beginRound();
  }

  stop(): void {
    this.#stopped.abort(new Error("reconciling has ended"));
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #beginRound(): void {
    const { intervalMs, groups } = this.#o;
    const { verifyAgainMs, verifySpanMs } = this.#pace;
    this.#round += 1;
    const span = this.#round === 1 ? 0 : this.#round === 2 ? Math.min(intervalMs, verifySpanMs) : intervalMs;
    const units = unitsOf(groups(), (scope) => !this.#unlisted.has(scopeKey(scope)));
    const length = this.#spread(units, span);
    const next = this.#round === 1 ? Math.min(intervalMs, verifyAgainMs) : intervalMs;
    this.#after(Math.max(next, length), () => this.#beginRound());
  }

  /** Subscriptions have budgets of their own, so that each is spread for itself. @returns when the last unit's turn is over */
  #spread(units: readonly ReconcileUnit[], span: number): number {
    const bySubscription = new Map<string, ReconcileUnit[]>();
    for (const unit of units) {
      const { subscriptionId } = unit.kind === "list" ? unit.scope : unit.group;
      const key = subscriptionId.toLowerCase();
      bySubscription.set(key, [...(bySubscription.get(key) ?? []), unit]);
    }
    let length = 0;
    for (const share of bySubscription.values()) {
      const spacing = Math.max(this.#pace.spacingMs, span / share.length);
      length = Math.max(length, spacing * share.length);
      this.#inTurn(share.values(), spacing);
    }
    return length;
  }

  #inTurn(units: IterableIterator<ReconcileUnit>, spacing: number): void {
    const { done, value } = units.next();
    if (done === true) return;
    this.#visit(value);
    this.#after(spacing, () => this.#inTurn(units, spacing));
  }

  #visit(unit: ReconcileUnit): void {
    if (unit.kind === "machine") this.#o.look(unit.group.key);
    else void this.#list(unit.scope, unit.groups);
  }

  async #list(scope: MachineScope, groups: readonly NodeGroup[]): Promise<void> {
    const { list, turn, compare, log } = this.#o;
    const turns = new Map(groups.map(({ key }) => [key, turn(key)]));
    let states: ReadonlyMap<string, ComputeState>;
    try {
      states = new Map((await list(scope, this.#stopped.signal)).map((state) => [state.group.key, state]));
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      const forGood = error instanceof ArmError && error.problem.kind === "forbidden";
      if (forGood) this.#unlisted.add(scopeKey(scope));
      log.warn(
        { resourceGroup: scope.resourceGroup, error: String(error) },
        `could not list the machines of resource group ${scope.resourceGroup}; they are read one by one${forGood ? " from now on" : ""}`,
      );
      const singles = groups.map((group): ReconcileUnit => ({ kind: "machine", group }));
      this.#inTurn(singles.values(), this.#pace.spacingMs);
      return;
    }
    const closer: ReconcileUnit[] = [];
    for (const group of groups) {
      const state = states.get(group.key);
      const settled =
        state !== undefined && (await this.#settled(compare, group.key, state, turns.get(group.key) ?? 0));
      if (!settled) closer.push({ kind: "machine", group });
    }
    if (this.#stopped.signal.aborted) return;
    this.#inTurn(closer.values(), this.#pace.spacingMs);
  }

  /** One group's trouble is not the others'. */
  async #settled(
    compare: ReconcilerOptions["compare"],
    key: string,
    state: ComputeState,
    turn: number,
  ): Promise<boolean> {
    try {
      return await compare(key, state, turn);
    } catch (error) {
      this.#o.log.warn({ scope: key, error: String(error) }, "could not compare a machine with its ledger");
      return false;
    }
  }

  #after(milliseconds: number, act: () => void): void {
    if (this.#stopped.signal.aborted) return;
    const timer = this.#o.clock.setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, milliseconds);
    this.#timers.add(timer);
  }
}
