import type { Logger } from "@podid/service";
import type { Check } from "./check.ts";
import { runRound } from "./round.ts";

export interface Demo {
  readonly checks: readonly Check[];
  readonly log: Pick<Logger, "info" | "error">;
  /** 0: one round. */
  readonly periodMs: number;
  /** Resolves after the time; rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Runs one round, or a round, a pause, a round, … until aborted.
 * @returns the exit code: of a single round 1 when anything failed or it was interrupted, of the loop 0.
 */
export async function runDemo({ checks, log, periodMs, sleep }: Demo, signal: AbortSignal): Promise<number> {
  for (;;) {
    const failed = await runRound(checks, log, signal);
    if (periodMs === 0) return failed === 0 && !signal.aborted ? 0 : 1;
    if (signal.aborted) return 0;
    await sleep(periodMs, signal).catch(() => undefined);
    if (signal.aborted) return 0;
  }
}
