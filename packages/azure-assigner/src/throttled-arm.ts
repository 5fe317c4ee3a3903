import type { NodeGroup } from "@podid/crd-types";
import type { Arm, PatchOptions } from "./arm.ts";
import { ArmError } from "./arm-problem.ts";
import type { ArmProblem } from "./arm-problem.ts";
import { systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { ComputeState } from "./compute-state.ts";
import type { IdentityPatch } from "./plan.ts";

type Throttled = ArmProblem & { readonly kind: "throttled" };

/** Keeps ARM's Retry-After: until it has passed, calls of the same scope and direction fail at once without reaching ARM. */
export class ThrottledArm implements Arm {
  readonly #arm: Arm;
  readonly #clock: Clock;
  readonly #until = new Map<string, { readonly at: number; readonly problem: Throttled }>();

  constructor(arm: Arm, clock: Clock = systemClock) {
    this.#arm = arm;
    this.#clock = clock;
  }

  read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState> {
    return this.#guard("read", group, () => this.#arm.read(group, signal));
  }

  patch(group: NodeGroup, patch: IdentityPatch, options?: PatchOptions): Promise<ComputeState> {
    return this.#guard("write", group, () => this.#arm.patch(group, patch, options));
  }

  async #guard<T>(direction: "read" | "write", group: NodeGroup, call: () => Promise<T>): Promise<T> {
    const scopes = {
      subscription: `${direction} ${group.subscriptionId.toLowerCase()}`,
      machine: `${direction} ${group.key}`,
    };
    for (const scope of Object.values(scopes)) {
      const hold = this.#until.get(scope);
      if (hold === undefined) continue;
      const retryAfterMs = hold.at - this.#clock.now();
      if (retryAfterMs > 0) throw new ArmError({ ...hold.problem, retryAfterMs });
      this.#until.delete(scope);
    }
    try {
      return await call();
    } catch (error) {
      if (error instanceof ArmError && error.problem.kind === "throttled") {
        const scope = error.problem.scope === "subscription" ? scopes.subscription : scopes.machine;
        this.#until.set(scope, { at: this.#clock.now() + error.problem.retryAfterMs, problem: error.problem });
      }
      throw error;
    }
  }
}
