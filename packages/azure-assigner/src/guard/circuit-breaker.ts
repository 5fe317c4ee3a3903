/**
 * - `closed`: calls go through.
 * - `open`: none does until the pause is over.
 * - `half-open`: one call is under way to find out.
 */
export type CircuitState = "closed" | "open" | "half-open";

export interface CircuitLimits {
  /** Failures in a row that open it. */
  readonly failures: number;
  /** First pause; doubles while the trial calls fail. */
  readonly openMs: number;
  readonly maxOpenMs: number;
}

export const DEFAULT_CIRCUIT: CircuitLimits = { failures: 5, openMs: 30_000, maxOpenMs: 300_000 };

/** Stops calling what keeps failing. Times are milliseconds of any one clock. */
export class CircuitBreaker {
  readonly #limits: CircuitLimits;
  #failures = 0;
  #openings = 0;
  #openUntil = 0;
  #state: CircuitState = "closed";

  constructor(limits: CircuitLimits = DEFAULT_CIRCUIT) {
    this.#limits = limits;
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Nothing is remembered that would tell it from a new one. */
  get idle(): boolean {
    return this.#state === "closed" && this.#failures === 0;
  }

  /** Asks for one call: 0, then its end has to be told, or after how many milliseconds to ask again. */
  enter(now: number): number {
    if (this.#state === "closed") return 0;
    if (this.#state === "half-open") return this.#limits.openMs;
    if (now < this.#openUntil) return this.#openUntil - now;
    this.#state = "half-open";
    return 0;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openings = 0;
    this.#state = "closed";
  }

  failed(now: number): void {
    this.#failures += 1;
    if (this.#state !== "half-open" && this.#failures < this.#limits.failures) return;
    this.#openings += 1;
    const pause = Math.min(this.#limits.maxOpenMs, this.#limits.openMs * 2 ** Math.min(this.#openings - 1, 20));
    this.#state = "open";
    this.#openUntil = now + pause;
  }

  /** The call ended without a verdict, for instance because it was given up: a trial may be made anew. */
  abandoned(): void {
    if (this.#state === "half-open") this.#state = "open";
  }
}
