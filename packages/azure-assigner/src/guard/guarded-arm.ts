import type { NodeGroup } from "@podid/crd-types";
import type { Arm, FollowOptions, MachineScope, PatchOptions, TurnOptions, WriteGate, WriteTurn } from "../arm.ts";
import { ArmError } from "../arm-problem.ts";
import type { ArmProblem } from "../arm-problem.ts";
import { elapsedMs } from "../clock.ts";
import type { Clock } from "../clock.ts";
import type { ComputeState } from "../compute-state.ts";
import type { IdentityPatch } from "../plan.ts";
import type { ArmBudget } from "./arm-budget.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import type { CircuitLimits, CircuitState } from "./circuit-breaker.ts";
import { GuardMemory } from "./guard-memory.ts";
import type { GuardMemoryOptions } from "./guard-memory.ts";
import type { RetryHolds } from "./retry-holds.ts";

/** Either what another one before it learned, or limits to begin anew with. */
export type GuardedArmOptions = GuardMemoryOptions | GuardMemory;

/** For metrics. */
export interface GuardState {
  /** Retry-After of ARM that lasts, by what it concerns. */
  readonly held: Readonly<Record<"subscription" | "machine" | "identities", number>>;
  /** Node groups whose reads or writes are not closed. */
  readonly circuits: Readonly<Record<Exclude<CircuitState, "closed">, number>>;
  readonly budget: Readonly<Record<"read" | "write" | "group", number>>;
}

type Direction = "read" | "write";

/**
 * ARM with manners: keeps each Retry-After for the scope that ARM gave it for, stays within a budget of its own, and stops calling
 * for a node group that keeps failing. Nothing that concerns one node group holds up another.
 *
 * A PATCH must have been granted by {@link enter}, which is asked before the PATCH is written down.
 */
export class GuardedArm implements Arm, WriteGate {
  readonly #arm: Arm;
  readonly #clock: Clock;
  readonly #budget: ArmBudget;
  readonly #circuit: CircuitLimits;
  readonly #holds: RetryHolds;
  readonly #breakers: Map<string, CircuitBreaker>;

  constructor(arm: Arm, options: GuardedArmOptions = {}) {
    const memory = options instanceof GuardMemory ? options : new GuardMemory(options);
    this.#arm = arm;
    this.#clock = memory.clock;
    this.#budget = memory.budget;
    this.#circuit = memory.circuit;
    this.#holds = memory.holds;
    this.#breakers = memory.breakers;
  }

  get state(): GuardState {
    const held = this.#holds.active(elapsedMs(this.#clock));
    const circuits = { open: 0, "half-open": 0 };
    for (const { state } of this.#breakers.values()) if (state !== "closed") circuits[state] += 1;
    const of = (kind: string): number => held.get(kind) ?? 0;
    return {
      held: { subscription: of("subscription"), machine: of("machine"), identities: of("identities") },
      circuits,
      budget: this.#budget.levels(),
    };
  }

  /** The state of a group's circuit: the worse of its reads' and its writes'. */
  circuitOf(group: NodeGroup): CircuitState {
    const states = (["read", "write"] as const).map(
      (direction) => this.#breakers.get(`${direction} ${group.key}`)?.state,
    );
    return states.find((state) => state === "open") ?? states.find((state) => state === "half-open") ?? "closed";
  }

  async read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState> {
    await this.#admitRead(group, signal);
    return this.#call("read", group, () => this.#arm.read(group, signal));
  }

  async list(scope: MachineScope, options: FollowOptions = {}): Promise<readonly ComputeState[]> {
    const subscription = scope.subscriptionId.toLowerCase();
    // The compute provider limits lists by subscription, apart from reads of one machine.
    const [all, lists] = [`subscription read ${subscription}`, `machine list ${subscription}`];
    this.#throwIfHeld([all, lists]);
    await this.#budget.read(subscription, options.signal);
    try {
      return await this.#arm.list(scope, this.#polling(scope, options));
    } catch (error) {
      if (error instanceof ArmError && error.problem.kind === "throttled")
        this.#hold(error.problem, error.problem.scope === "subscription" ? all : lists);
      throw error;
    }
  }

  patch(group: NodeGroup, patch: IdentityPatch, options: PatchOptions = {}): Promise<ComputeState> {
    return this.#call("write", group, () => this.#arm.patch(group, patch, this.#polling(group, options)));
  }

  resume(group: NodeGroup, operation: string, options: FollowOptions = {}): Promise<ComputeState> {
    return this.#arm.resume(group, operation, this.#polling(group, options));
  }

  async enter(group: NodeGroup, { spare = 0, patient = true, signal }: TurnOptions = {}): Promise<WriteTurn> {
    const retryAfterMs = patient ? 0 : this.#budget.writeDelayMs(group, spare);
    if (retryAfterMs > 0) return { kind: "later", retryAfterMs };
    const held = this.#holds.of(scopesOf("write", group), elapsedMs(this.#clock));
    if (held !== undefined) return { kind: "refused", problem: held };
    const open = this.#circuitOpen("write", group);
    if (open !== undefined) return { kind: "refused", problem: open };
    const since = elapsedMs(this.#clock);
    try {
      await this.#budget.write(group, spare, signal);
    } catch (error) {
      this.#breakers.get(`write ${group.key}`)?.abandoned();
      throw error;
    }
    return { kind: "go", waitedMs: elapsedMs(this.#clock) - since };
  }

  leave(group: NodeGroup): void {
    this.#budget.refund(group);
    this.#breakers.get(`write ${group.key}`)?.abandoned();
  }

  /** Resolves when a read that is not a machine's, such as an identity's, may go. */
  admit(subscriptionId: string, signal?: AbortSignal): Promise<void> {
    return this.#budget.read(subscriptionId, signal);
  }

  async #admitRead(group: NodeGroup, signal: AbortSignal | undefined): Promise<void> {
    this.#throwIfHeld(scopesOf("read", group));
    const open = this.#circuitOpen("read", group);
    if (open !== undefined) throw new ArmError(open);
    try {
      await this.#budget.read(group.subscriptionId, signal);
    } catch (error) {
      this.#breakers.get(`read ${group.key}`)?.abandoned();
      throw error;
    }
  }

  #throwIfHeld(scopes: readonly string[]): void {
    const held = this.#holds.of(scopes, elapsedMs(this.#clock));
    if (held !== undefined) throw new ArmError(held);
  }

  #circuitOpen(direction: Direction, group: NodeGroup): ArmProblem | undefined {
    const retryAfterMs = this.#breakers.get(`${direction} ${group.key}`)?.enter(elapsedMs(this.#clock)) ?? 0;
    if (retryAfterMs === 0) return undefined;
    return {
      kind: "unavailable",
      status: 0,
      code: "CircuitOpen",
      message: `ARM ${direction}s for ${group.id} kept failing; it is given a rest`,
      retryAfterMs,
    };
  }

  async #call<T>(direction: Direction, group: NodeGroup, call: () => Promise<T>): Promise<T> {
    const name = `${direction} ${group.key}`;
    try {
      const result = await call();
      this.#breakers.delete(name);
      return result;
    } catch (error) {
      if (!(error instanceof ArmError)) this.#breakers.get(name)?.abandoned();
      else this.#learn(direction, group, error.problem);
      throw error;
    }
  }

  #learn(direction: Direction, group: NodeGroup, problem: ArmProblem): void {
    const name = `${direction} ${group.key}`;
    if (problem.kind === "unavailable") {
      const breaker = this.#breakers.get(name) ?? new CircuitBreaker(this.#circuit);
      this.#breakers.set(name, breaker);
      breaker.failed(elapsedMs(this.#clock));
      return;
    }
    if (problem.kind === "throttled") {
      this.#breakers.get(name)?.abandoned();
      const [subscription, machine, identities] = scopesOf(direction, group);
      this.#hold(problem, { subscription, machine, identities }[problem.scope]);
      return;
    }
    // ARM answered: it is there.
    this.#breakers.delete(name);
  }

  #hold(problem: ArmProblem & { readonly kind: "throttled" }, scope: string): void {
    this.#holds.hold(scope, problem, elapsedMs(this.#clock));
  }

  #polling<T extends FollowOptions>({ subscriptionId }: MachineScope, options: T): T {
    return { ...options, beforePoll: (signal?: AbortSignal) => this.#budget.read(subscriptionId, signal) };
  }
}

/** Of a call: its subscription, its machine, and the identity provider behind it, which counts what this machine asks of it. */
function scopesOf(direction: Direction, group: NodeGroup): readonly [string, string, string] {
  return [
    `subscription ${direction} ${group.subscriptionId.toLowerCase()}`,
    `machine ${direction} ${group.key}`,
    `identities ${direction} ${group.key}`,
  ];
}
