/**
 * When to ask again about a running operation: soon at first, because adding an identity often takes one second,
 * then ever more rarely, because ARM allows about 15 polls a minute in the long run (compute's GetOperation limits).
 */
export interface PollSchedule {
  readonly firstMs: number;
  readonly factor: number;
  readonly maxMs: number;
  /** Give up waiting after so long; upstream's 15 minutes. */
  readonly deadlineMs: number;
}

export const DEFAULT_POLL_SCHEDULE: PollSchedule = { firstMs: 250, factor: 1.35, maxMs: 4000, deadlineMs: 15 * 60_000 };

/** Pause before poll number `attempt` (from 0). What ARM asks for by Retry-After wins. */
export function pollDelay(schedule: PollSchedule, attempt: number, retryAfterMs?: number): number {
  return retryAfterMs ?? Math.min(schedule.maxMs, Math.round(schedule.firstMs * schedule.factor ** attempt));
}
