import type { Clock } from "./clock.ts";
import type { SourceOutcome } from "./token-source.ts";

const TRANSIENT_RETRIES_MS = [500, 1_000];
const NOT_FOUND_RETRIES_MS = [500, 1_000, 2_000, 4_000];
const NOT_YET_RETRIES_MS = [1_000, 2_000, 4_000, 8_000];
/** A source that wants a longer rest than this has it: the client is told, instead of waiting. */
const LONGEST_REST_MS = 2_000;

export interface FlightOptions {
  readonly clock: Pick<Clock, "monotonicMs" | "setTimeout">;
  /** One attempt, already limited. */
  readonly attempt: () => Promise<SourceOutcome>;
  /** Until then (monotonic) "identity not found" means "not yet": IMDS lags ARM. */
  readonly lagUntilMs: number;
  /** The same for "not yet" of other sources; asked when it is said. */
  readonly notYetUntilMs?: () => number;
}

/**
 * One upstream request for all who want the same token. It belongs to nobody: a client that leaves does not cancel
 * it, but when all have left it makes no further attempt.
 */
export class Flight {
  readonly result: Promise<SourceOutcome>;
  readonly startedMs: number;
  /** Whoever it was for is gone or has changed: nothing of it may be kept. */
  void = false;
  readonly #options: FlightOptions;
  #waiters = 0;
  #lagUntilMs: number;
  #delay: { cancel(): void; end(): void } | undefined;
  #latest: SourceOutcome | undefined;

  constructor(options: FlightOptions) {
    this.#options = options;
    this.#lagUntilMs = options.lagUntilMs;
    this.startedMs = options.clock.monotonicMs();
    this.result = this.#fly();
  }

  /** What the source said last, while it is being asked again. */
  get latest(): SourceOutcome | undefined {
    return this.#latest;
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
    const retries = { notFound: 0, notYet: 0, transient: 0 };
    for (;;) {
      const outcome = await this.#options.attempt();
      this.#latest = outcome;
      const delayMs = this.#delayMs(outcome, retries);
      if (delayMs === undefined || this.#waiters <= 0) return outcome;
      await this.#sleep(delayMs);
      if (this.#waiters <= 0) return outcome;
    }
  }

  /** @returns undefined when that was the last word */
  #delayMs(
    outcome: SourceOutcome,
    retries: { notFound: number; notYet: number; transient: number },
  ): number | undefined {
    const now = this.#options.clock.monotonicMs();
    switch (outcome.kind) {
      case "identity-not-found":
        return now < this.#lagUntilMs ? step(NOT_FOUND_RETRIES_MS, retries.notFound++) : undefined;
      case "not-yet":
        return now < (this.#options.notYetUntilMs?.() ?? -Infinity)
          ? step(NOT_YET_RETRIES_MS, retries.notYet++)
          : undefined;
      case "unavailable": {
        const delayMs = TRANSIENT_RETRIES_MS[retries.transient++];
        if (delayMs === undefined || (outcome.retryAfterMs ?? 0) > LONGEST_REST_MS) return undefined;
        return Math.max(delayMs, outcome.retryAfterMs ?? 0);
      }
      case "token":
      case "mismatch":
      case "refused":
        return undefined;
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimeout(resolve, ms);
      this.#delay = { cancel: () => timer.cancel(), end: resolve };
    });
  }
}

function step(delays: readonly number[], index: number): number | undefined {
  return delays[Math.min(index, delays.length - 1)];
}
