export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Doubling delays with jitter: each lies between half of its ceiling and the ceiling, so that many clients spread out. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Consecutive failures since the last {@link reset}. */
  get failures(): number {
    return this.#failures;
  }

  /** Delay before the next attempt; never less than what the server asked for. */
  next(retryAfterMs = 0): number {
    const { baseMs, maxMs, random } = this.#options;
    const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(this.#failures, 40));
    this.#failures += 1;
    const own = ceiling * (0.5 + random() / 2);
    return retryAfterMs > 0 ? Math.max(own, retryAfterMs * (1 + random() / 10)) : own;
  }

  reset(): void {
    this.#failures = 0;
  }
}

/** The wait that an error asks for: `KubeError.retryAfterMs`, or the same field on any other error. */
export function retryAfterOf(error: unknown): number | undefined {
  const ms =
    typeof error === "object" && error !== null ? (error as { retryAfterMs?: unknown }).retryAfterMs : undefined;
  return typeof ms === "number" && Number.isFinite(ms) && ms > 0 ? ms : undefined;
}
