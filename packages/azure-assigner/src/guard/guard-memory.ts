import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { ArmBudget } from "./arm-budget.ts";
import type { BudgetLimits } from "./arm-budget.ts";
import { DEFAULT_CIRCUIT } from "./circuit-breaker.ts";
import type { CircuitBreaker, CircuitLimits } from "./circuit-breaker.ts";
import { RetryHolds } from "./retry-holds.ts";

export interface GuardMemoryOptions {
  readonly clock?: Clock;
  readonly budget?: Partial<BudgetLimits>;
  readonly circuit?: Partial<CircuitLimits>;
}

/**
 * What is known of ARM's patience: budgets, Retry-After, and what keeps failing. A process has one, however often it begins
 * anew to lead: ARM does not forget in between.
 */
export class GuardMemory {
  readonly clock: Clock;
  /** @internal */
  readonly budget: ArmBudget;
  /** @internal */
  readonly circuit: CircuitLimits;
  /** @internal */
  readonly holds = new RetryHolds();
  /** By direction and group. @internal */
  readonly breakers = new Map<string, CircuitBreaker>();

  constructor({ clock = systemClock, budget = {}, circuit = {} }: GuardMemoryOptions = {}) {
    this.clock = clock;
    this.budget = new ArmBudget(budget, clock);
    this.circuit = { ...DEFAULT_CIRCUIT, ...circuit };
  }
}
