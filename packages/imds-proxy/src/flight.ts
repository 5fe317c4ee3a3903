import type { Clock } from "./clock.ts";
import type { SourceOutcome } from "./token-source.ts";

const TRANSIENT_RETRIES_MS = [500, 1_000];
const NOT_FOUND_RETRIES_MS = [500, 1_000, 2_000, 4_000];

export interface FlightOptions {
  readonly clock: Pick<Clock, "monotonicMs" | "setTimeout">;
  /** One attempt, already limited. */
  readonly attempt: () => Promise<SourceOutcome>;
  /** Until then (monotonic) "identity not found" means "not yet": IMDS lags ARM. */
  readonly lagUntilMs: number;
}

/**
 * One upstream request for all who want the same token. It belongs to nobody: a client that leaves does not cancel
 * it, but when all have left it makes no further attempt.
 */
export class Flight {
  readonly result: Promise<SourceOutcome>;
  readonly #options: FlightOptions;
  #waiters = 0;
  #lagUntilMs: number;
  #delay: { cancel(): void; end(): void } | undefined;

  constructor(options: FlightOptions) {
    this.#options = options;
    this.#lagUntilMs = options.lagUntilMs;
    this.result = this.#fly();
  }

  join(lagUntilMs: number): void {
    this.#waiters++;
    this.#lagUntilMs = Math.max(this.#lagUntilMs, lagUntilMs);
  }

  leave(): void {
    this.#waiters--;
    if (this.#waiters > 0) return;
    this.#delay?.cancel();
    this.#delay?.end();
  }

  async #fly(): Promise<SourceOutcome> {
    let notFound = 0;
    let transient = 0;
    for (;;) {
      const outcome = await this.#options.attempt();
      let delayMs: number | undefined;
      if (outcome.kind === "identity-not-found" && this.#options.clock.monotonicMs() < this.#lagUntilMs) {
        delayMs = NOT_FOUND_RETRIES_MS[Math.min(notFound++, NOT_FOUND_RETRIES_MS.length - 1)];
      } else if (outcome.kind === "unavailable") {
        delayMs = TRANSIENT_RETRIES_MS[transient++];
      }
      if (delayMs === undefined || this.#waiters <= 0) return outcome;
      await this.#sleep(delayMs);
      if (this.#waiters <= 0) return outcome;
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimeout(resolve, ms);
      this.#delay = { cancel: () => timer.cancel(), end: resolve };
    });
  }
}
