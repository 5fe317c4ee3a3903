import type { Clock } from "./clock.ts";
import type { TokenAnswer } from "./token-answer.ts";
import type { TokenEntry } from "./token-entry.ts";

/**
 * The broker's tokens as plain JSON, for a successor in another process on the same machine. It holds live tokens: send
 * it over a socket that only root can open, never to a disk or a log.
 */
export interface TokenSnapshot {
  readonly format: typeof FORMAT;
  /** Milliseconds since the epoch. */
  readonly takenAtMs: number;
  readonly tokens: readonly SnapshotToken[];
}

interface SnapshotToken {
  readonly key: string;
  readonly identityUid: string;
  readonly answer: TokenAnswer;
  /** Moments in milliseconds relative to `takenAtMs`; those that have passed are negative. */
  readonly fetchedInMs: number;
  readonly expiresInMs: number;
  readonly refreshInMs: number;
  readonly attemptedInMs: number;
}

/** Raised whenever a key or an answer comes to mean something else: what another version wrote is not read. */
const FORMAT = "podid-tokens/1";

export function takeSnapshot(entries: ReadonlyMap<string, TokenEntry>, clock: Clock): TokenSnapshot {
  const now = clock.monotonicMs();
  return {
    format: FORMAT,
    takenAtMs: clock.wallMs(),
    tokens: [...entries]
      .filter(([, entry]) => entry.expiresAt > now)
      .map(([key, entry]) => ({
        key,
        identityUid: entry.identityUid,
        answer: entry.answer,
        fetchedInMs: entry.fetchedAt - now,
        expiresInMs: entry.expiresAt - now,
        refreshInMs: entry.refreshAt - now,
        attemptedInMs: entry.attemptedAt - now,
      })),
  };
}

/** What of a snapshot can be used; anything that is not as expected is left out, since another program sent it. */
export function readSnapshot(snapshot: unknown, clock: Clock): [string, TokenEntry][] {
  if (!isObject(snapshot) || snapshot["format"] !== FORMAT) return [];
  const { takenAtMs, tokens } = snapshot;
  if (typeof takenAtMs !== "number" || !Array.isArray(tokens)) return [];
  // The wall clock may have been set back meanwhile; a token never gains life by that.
  const taken = clock.monotonicMs() - Math.max(0, clock.wallMs() - takenAtMs);
  return (tokens as readonly unknown[]).flatMap((token): [string, TokenEntry][] => {
    if (!isToken(token)) return [];
    const { key, identityUid, answer } = token;
    const expiresAt = taken + token.expiresInMs;
    if (expiresAt <= clock.monotonicMs()) return [];
    const [fetchedAt, refreshAt] = [taken + token.fetchedInMs, taken + token.refreshInMs];
    return [[key, { answer, identityUid, fetchedAt, expiresAt, refreshAt, attemptedAt: taken + token.attemptedInMs }]];
  });
}

function isToken(value: unknown): value is SnapshotToken {
  if (!isObject(value)) return false;
  const moments = ["fetchedInMs", "expiresInMs", "refreshInMs", "attemptedInMs"];
  return (
    ["key", "identityUid"].every((field) => typeof value[field] === "string") &&
    moments.every((field) => Number.isFinite(value[field])) &&
    isAnswer(value["answer"])
  );
}

function isAnswer(value: unknown): value is TokenAnswer {
  if (!isObject(value)) return false;
  const { head, tail, accessToken, clientId, expiresInSeconds, expiresOnSeconds, auxiliary } = value;
  return (
    [head, tail, accessToken].every((text) => typeof text === "string") &&
    (clientId === undefined || typeof clientId === "string") &&
    Number.isFinite(expiresInSeconds) &&
    (expiresOnSeconds === undefined || Number.isFinite(expiresOnSeconds)) &&
    (auxiliary === undefined || (Array.isArray(auxiliary) && (auxiliary as readonly unknown[]).every(isAnswer)))
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
