import type { ArmProblem } from "../arm-problem.ts";

export type Throttled = ArmProblem & { readonly kind: "throttled" };

/** Where ARM asked for patience by Retry-After, and until when. Times are milliseconds of any one clock. */
export class RetryHolds {
  readonly #until = new Map<string, { readonly at: number; readonly problem: Throttled }>();

  hold(scope: string, problem: Throttled, now: number): void {
    this.#until.set(scope, { at: now + problem.retryAfterMs, problem });
  }

  /** The hold of the first of these scopes that has one, with the time that is left. */
  of(scopes: readonly string[], now: number): Throttled | undefined {
    for (const scope of scopes) {
      const hold = this.#until.get(scope);
      if (hold === undefined) continue;
      const retryAfterMs = hold.at - now;
      if (retryAfterMs > 0) return { ...hold.problem, retryAfterMs };
      this.#until.delete(scope);
    }
    return undefined;
  }

  /** How many holds of each kind of scope last, by the word that the scope's name begins with. */
  active(now: number): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const [scope, { at }] of this.#until) {
      if (at <= now) this.#until.delete(scope);
      else {
        const kind = scope.slice(0, scope.indexOf(" "));
        counts.set(kind, (counts.get(kind) ?? 0) + 1);
      }
    }
    return counts;
  }
}
