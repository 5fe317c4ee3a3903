import type { IdentityRecord } from "@podid/matcher";
import { cacheKey } from "./cache-key.ts";
import type { Clock } from "./clock.ts";
import { LimiterFullError } from "./fair-limiter.ts";
import type { FairLimiter } from "./fair-limiter.ts";
import { Flight } from "./flight.ts";
import type { TokenAnswer } from "./token-answer.ts";
import { freshness, remainingSeconds, tokenEntry } from "./token-entry.ts";
import type { TokenEntry } from "./token-entry.ts";
import type { SourceOutcome, SourceRequest, TokenSource } from "./token-source.ts";

/** IMDS may not know an identity for this long after ARM said it is attached. */
export const IMDS_LAG_MS = 3 * 60_000;
const REFUSED_FOR_MS = 5_000;
const UNAVAILABLE_FOR_MS = 1_000;
const BYPASS_INTERVAL_MS = 30_000;

export interface BrokerRequest extends SourceRequest {
  readonly source: TokenSource;
  /** Monotonic moment since when the identity counts as attached; undefined: long ago. */
  readonly attachedAtMs: number | undefined;
}

/** How a token was come by; a metric label. */
export type CacheOutcome = "hit" | "miss" | "joined" | "stale" | "bypass" | "off";

export type BrokerResult =
  | {
      readonly kind: "token";
      readonly answer: TokenAnswer;
      readonly remainingSeconds: number;
      readonly cache: CacheOutcome;
    }
  | Exclude<SourceOutcome, { kind: "token" }>
  | { readonly kind: "overloaded"; readonly message: string };

export interface TokenBrokerOptions {
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
  readonly limiter: FairLimiter;
  /** false: every request asks the source, as upstream did. */
  readonly cache?: boolean;
  /** Tokens kept; default 5 000. */
  readonly maxEntries?: number;
}

/**
 * Gets tokens once for all who want the same one: cached while fresh, refreshed ahead, one call in flight per key,
 * the old token while the source is down. It does not decide who may have a token; callers do, on every request.
 */
export class TokenBroker {
  readonly #options: Required<TokenBrokerOptions>;
  /** Oldest fetch first. */
  readonly #entries = new Map<string, TokenEntry>();
  readonly #flights = new Map<string, Flight>();
  readonly #refusals = new Map<string, { readonly outcome: SourceOutcome; readonly until: number }>();
  readonly #bypasses = new Map<string, number>();

  constructor(options: TokenBrokerOptions) {
    this.#options = { cache: true, maxEntries: 5_000, ...options };
  }

  /** The cached token, without waiting. May start a refresh behind the caller's back. */
  peek(request: BrokerRequest): BrokerResult | undefined {
    if (!this.#options.cache || request.bypassCache) return undefined;
    const key = cacheKey(request.source, request);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const now = this.#options.clock.monotonicMs();
    switch (freshness(entry, now)) {
      case "fresh":
        return hit(entry, now, "hit");
      case "refresh-ahead":
        entry.attemptedAt = now;
        void this.#fly(key, request, undefined).result;
        return hit(entry, now, "hit");
      case "expiring":
      case "expired":
        return undefined;
    }
  }

  /** Waits for the token until `signal` aborts; then, and only then, it rejects, with the signal's reason. */
  async get(request: BrokerRequest, signal: AbortSignal): Promise<BrokerResult> {
    const cached = this.peek(request);
    if (cached !== undefined) return cached;
    const key = cacheKey(request.source, request);
    if (!this.#options.cache)
      return this.#conclude(key, request, this.#newFlight(request, request.bypassCache), "off", signal);
    if (request.bypassCache && this.#mayBypass(key, request.pod.uid)) {
      // Never joined to a flight that began before it: that one may bring the very token the client wants replaced.
      return this.#conclude(key, request, this.#fly(key, request, "bypass"), "bypass", signal);
    }
    if (request.bypassCache) {
      const ordinary = this.peek({ ...request, bypassCache: false });
      if (ordinary !== undefined) return ordinary;
    }
    const refusal = this.#refusals.get(key);
    if (refusal !== undefined && refusal.outcome.kind !== "token") {
      if (this.#options.clock.monotonicMs() < refusal.until) return this.#staleOr(key, refusal.outcome);
      this.#refusals.delete(key);
    }
    const running = this.#flights.get(key);
    const flight = running ?? this.#fly(key, { ...request, bypassCache: false }, undefined);
    return this.#conclude(key, request, flight, running === undefined ? "miss" : "joined", signal);
  }

  /** Forgets every token of that identity. @returns how many there were */
  invalidate(identityUid: string): number {
    let count = 0;
    for (const [key, entry] of this.#entries) {
      if (entry.identityUid !== identityUid) continue;
      this.#entries.delete(key);
      count++;
    }
    return count;
  }

  get size(): number {
    return this.#entries.size;
  }

  #newFlight(request: BrokerRequest, bypassCache: boolean): Flight {
    const source: SourceRequest = {
      pod: request.pod,
      identity: request.identity,
      resource: request.resource,
      capabilities: request.capabilities,
      bypassCache,
    };
    return new Flight({
      clock: this.#options.clock,
      attempt: () => this.#options.limiter.run(request.pod.uid, () => request.source.fetch(source)),
      lagUntilMs: lagUntil(request),
    });
  }

  #fly(key: string, request: BrokerRequest, kind: "bypass" | undefined): Flight {
    const running = this.#flights.get(key);
    if (running !== undefined && kind === undefined) return running;
    const flight = this.#newFlight(request, kind === "bypass");
    this.#flights.set(key, flight);
    const landed = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    flight.result.then((outcome) => {
      this.#remember(key, request.identity, outcome);
      landed();
    }, landed);
    return flight;
  }

  async #conclude(
    key: string,
    request: BrokerRequest,
    flight: Flight,
    how: CacheOutcome,
    signal: AbortSignal,
  ): Promise<BrokerResult> {
    flight.join(lagUntil(request));
    try {
      const outcome = await orAborted(flight.result, signal);
      if (outcome.kind !== "token") return this.#staleOr(key, outcome);
      const now = this.#options.clock.monotonicMs();
      const entry = this.#entries.get(key);
      if (entry?.answer === outcome.answer) return hit(entry, now, how);
      return hit(this.#entry(request.identity, outcome.answer), now, how);
    } catch (error) {
      if (error instanceof LimiterFullError) return { kind: "overloaded", message: error.message };
      throw error;
    } finally {
      flight.leave();
    }
  }

  /** A source that is down does not take away a token that is still valid; a refusal does. */
  #staleOr(key: string, outcome: Exclude<SourceOutcome, { kind: "token" }>): BrokerResult {
    if (outcome.kind !== "unavailable") return outcome;
    const now = this.#options.clock.monotonicMs();
    const entry = this.#entries.get(key);
    return entry === undefined || freshness(entry, now) === "expired" ? outcome : hit(entry, now, "stale");
  }

  #remember(key: string, identity: IdentityRecord, outcome: SourceOutcome): void {
    if (!this.#options.cache) return;
    const now = this.#options.clock.monotonicMs();
    switch (outcome.kind) {
      case "token":
        this.#refusals.delete(key);
        this.#entries.delete(key);
        this.#entries.set(key, this.#entry(identity, outcome.answer));
        trim(this.#entries, this.#options.maxEntries);
        return;
      case "refused":
      case "unavailable":
        if (outcome.kind === "refused") this.#entries.delete(key);
        this.#refusals.delete(key);
        this.#refusals.set(key, {
          outcome,
          until: now + (outcome.kind === "refused" ? REFUSED_FOR_MS : UNAVAILABLE_FOR_MS),
        });
        trim(this.#refusals, this.#options.maxEntries);
        return;
      case "mismatch":
        this.#entries.delete(key);
        return;
      case "identity-not-found":
        return;
    }
  }

  #entry(identity: IdentityRecord, answer: TokenAnswer): TokenEntry {
    const { clock, random } = this.#options;
    return tokenEntry(answer, identity.uid, clock.monotonicMs(), clock.wallMs(), random() * 2 - 1);
  }

  #mayBypass(key: string, podUid: string): boolean {
    const id = `${podUid}\n${key}`;
    const now = this.#options.clock.monotonicMs();
    const last = this.#bypasses.get(id);
    if (last !== undefined && now - last < BYPASS_INTERVAL_MS) return false;
    this.#bypasses.delete(id);
    this.#bypasses.set(id, now);
    trim(this.#bypasses, this.#options.maxEntries);
    return true;
  }
}

function hit(entry: TokenEntry, now: number, cache: CacheOutcome): BrokerResult {
  return { kind: "token", answer: entry.answer, remainingSeconds: remainingSeconds(entry, now), cache };
}

function lagUntil(request: BrokerRequest): number {
  return request.attachedAtMs === undefined ? -Infinity : request.attachedAtMs + IMDS_LAG_MS;
}

/** Drops the oldest insertions. */
function trim(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
