import type { TokenAnswer } from "./token-answer.ts";

/** Refresh attempts of one entry are at least this far apart. */
export const REFRESH_INTERVAL_MS = 5 * 60_000;
/** A token with less left is not handed out while the source works. */
export const MIN_LIFE_MS = 5 * 60_000;
/** A source that only has such short tokens is asked this often at most. */
const SHORT_LIFE_INTERVAL_MS = 30_000;

/** A token and when to do what with it. Moments are monotonic milliseconds. */
export interface TokenEntry {
  readonly answer: TokenAnswer;
  readonly identityUid: string;
  readonly fetchedAt: number;
  readonly expiresAt: number;
  readonly refreshAt: number;
  /** Of the latest refresh, successful or not. */
  attemptedAt: number;
}

/**
 * @param jitter −1 to 1
 * @param wallMs caps the life by the wall clock, unless that clock says the token was dead on arrival
 */
export function tokenEntry(
  answer: TokenAnswer,
  identityUid: string,
  nowMs: number,
  wallMs: number,
  jitter: number,
): TokenEntry {
  const byWall = answer.expiresOnSeconds === undefined ? Infinity : answer.expiresOnSeconds * 1000 - wallMs;
  const lifeMs = Math.min(answer.expiresInSeconds * 1000, byWall > 0 ? byWall : Infinity);
  return {
    answer,
    identityUid,
    fetchedAt: nowMs,
    expiresAt: nowMs + lifeMs,
    // IMDS hands out its own cached token, so half of what remained at fetch, not half of the token's whole life.
    refreshAt: nowMs + (lifeMs / 2) * (1 + 0.1 * jitter),
    attemptedAt: nowMs,
  };
}

export type Freshness = "fresh" | "refresh-ahead" | "expiring" | "expired";

export function freshness(entry: TokenEntry, nowMs: number): Freshness {
  const left = entry.expiresAt - nowMs;
  if (left <= 0) return "expired";
  // What a source just delivered is the best there is, however short its life.
  if (left < MIN_LIFE_MS) return nowMs - entry.attemptedAt < SHORT_LIFE_INTERVAL_MS ? "fresh" : "expiring";
  return nowMs >= entry.refreshAt && nowMs - entry.attemptedAt >= REFRESH_INTERVAL_MS ? "refresh-ahead" : "fresh";
}

export function remainingSeconds(entry: TokenEntry, nowMs: number): number {
  return Math.max(0, Math.floor((entry.expiresAt - nowMs) / 1000));
}
