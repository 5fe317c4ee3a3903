import type { IdentityRecord } from "@podid/matcher";
import { BrokerCounters } from "./broker-statistics.ts";
import type { BrokerStatistics } from "./broker-statistics.ts";
import { cacheKey } from "./cache-key.ts";
import type { Clock } from "./clock.ts";
import { LimiterFullError } from "./fair-limiter.ts";
import { Flight } from "./flight.ts";
import { PodAllowance } from "./pod-allowance.ts";
import type { TokenAnswer } from "./token-answer.ts";
import { freshness, remainingSeconds, tokenEntry } from "./token-entry.ts";
import type { TokenEntry } from "./token-entry.ts";
import { readSnapshot, takeSnapshot } from "./token-snapshot.ts";
import type { TokenSnapshot } from "./token-snapshot.ts";
import type { Limiter, SourceOutcome, SourceRequest, TokenSource } from "./token-source.ts";

/** IMDS may not know an identity for this long after ARM said it is attached. */
export const IMDS_LAG_MS = 3 * 60_000;
/** What a source calls "not yet" is waited for this long after it first said so. */
const NOT_YET_MS = 5 * 60_000;
const REFUSED_FOR_MS = 5_000;
const UNAVAILABLE_FOR_MS = 1_000;
/** With an old token at hand, a source that is down is left alone for longer. */
const STALE_FOR_MS = 10_000;
/** A client that could have the old token waits no longer than this for a new one. */
const PATIENCE_WITH_TOKEN_MS = 1_000;
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
  /** For sources that have none of their own. */
  readonly limiter: Limiter;
  /** false: every request asks the source, as upstream did. */
  readonly cache?: boolean;
  /** Tokens kept; default 5 000. */
  readonly maxEntries?: number;
  /** Calls to sources that one pod may cause; default 60 at once and 4 a second. Cached tokens cost nothing. */
  readonly podBurst?: number;
  readonly podRate?: number;
}

/**
 * Gets tokens once for all who want the same one: cached while fresh, refreshed ahead, one call in flight per key,
 * the old token while the source is down. It does not decide who may have a token; callers do, on every request.
 */
export class TokenBroker {
  readonly #options: Required<TokenBrokerOptions>;
  readonly #allowance: PodAllowance;
  readonly #counters = new BrokerCounters();
  /** Oldest fetch first. */
  readonly #entries = new Map<string, TokenEntry>();
  readonly #flights = new Map<string, { readonly flight: Flight; readonly identityUid: string }>();
  readonly #refusals = new Map<string, Remembered & { readonly outcome: Failure; readonly until: number }>();
  /** When a source first said "not yet". */
  readonly #notYet = new Map<string, Remembered & { readonly since: number }>();
  readonly #bypasses = new Map<string, number>();

  constructor(options: TokenBrokerOptions) {
    this.#options = { cache: true, maxEntries: 5_000, podBurst: 60, podRate: 4, ...options };
    const { clock, podBurst: burst, podRate: perSecond } = this.#options;
    this.#allowance = new PodAllowance({ clock, burst, perSecond });
  }

  /** The cached token, without waiting. May start a refresh behind the caller's back. */
  peek(request: BrokerRequest): BrokerResult | undefined {
    if (!this.#options.cache || request.bypassCache) return undefined;
    const key = cacheKey(request.source, request);
    return key === undefined ? undefined : this.#peek(key, request);
  }

  /**
   * Waits for the token until `signal` aborts; then it rejects with the signal's reason, unless there is something
   * better to tell than that time is over.
   */
  async get(request: BrokerRequest, signal: AbortSignal): Promise<BrokerResult> {
    const cached = this.peek(request);
    if (cached !== undefined) return cached;
    let key = cacheKey(request.source, request);
    if (key === undefined) {
      const problem = await orAborted(this.#prepare(request), signal);
      if (problem !== undefined) return this.#counters.counted(problem);
      key = cacheKey(request.source, request);
      // Forgotten at that very moment; the next request finds it again.
      if (key === undefined) return this.#counters.counted(FORGOTTEN);
      const now = request.bypassCache || !this.#options.cache ? undefined : this.#peek(key, request);
      if (now !== undefined) return now;
    }
    return this.#counters.counted(await this.#get(key, request, signal));
  }

  /** Forgets everything of that identity, and what is on its way. @returns how many tokens there were */
  invalidate(identityUid: string): number {
    for (const [key, { flight, identityUid: uid }] of this.#flights) {
      if (uid !== identityUid) continue;
      flight.void = true;
      this.#flights.delete(key);
    }
    forget(this.#refusals, identityUid);
    forget(this.#notYet, identityUid);
    return forget(this.#entries, identityUid);
  }

  /** What counts for one pod alone; its identity's tokens may be others' as well. */
  forgetPod(podUid: string): void {
    this.#allowance.forget(podUid);
    for (const id of this.#bypasses.keys()) if (id.startsWith(`${podUid}\n`)) this.#bypasses.delete(id);
  }

  /** The tokens, for a successor on this machine; see {@link TokenSnapshot} for where they may go. */
  export(): TokenSnapshot {
    return takeSnapshot(this.#entries, this.#options.clock);
  }

  /**
   * Takes over a predecessor's tokens; whoever asks for one is authorised by this process as ever. Its own are kept.
   * @returns how many were of use
   */
  import(snapshot: unknown): number {
    if (!this.#options.cache) return 0;
    let count = 0;
    for (const [key, entry] of readSnapshot(snapshot, this.#options.clock)) {
      if (this.#entries.size >= this.#options.maxEntries) break;
      if (this.#entries.has(key)) continue;
      this.#entries.set(key, entry);
      count++;
    }
    return count;
  }

  get size(): number {
    return this.#entries.size;
  }

  get statistics(): BrokerStatistics {
    return this.#counters.statistics(this.#entries.size);
  }

  #peek(key: string, request: BrokerRequest): BrokerResult | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const now = this.#options.clock.monotonicMs();
    switch (freshness(entry, now)) {
      case "fresh":
        return this.#counters.counted(hit(entry, now, "hit"));
      case "refresh-ahead":
        entry.attemptedAt = now;
        this.#counters.refreshes++;
        void this.#fly(key, request, undefined).result.catch(() => undefined);
        return this.#counters.counted(hit(entry, now, "hit"));
      case "expiring":
      case "expired":
        return undefined;
    }
  }

  async #prepare(request: BrokerRequest): Promise<BrokerResult | undefined> {
    if (!this.#mayCall(request)) return TOO_MANY;
    try {
      return await request.source.prepare?.(request);
    } catch (error) {
      if (error instanceof LimiterFullError) return { kind: "overloaded", message: error.message };
      throw error;
    }
  }

  async #get(key: string, request: BrokerRequest, signal: AbortSignal): Promise<BrokerResult> {
    if (!this.#options.cache)
      return this.#conclude(key, request, this.#newFlight(key, request, request.bypassCache), "off", signal);
    if (request.bypassCache && this.#mayBypass(key, request.pod.uid)) {
      if (!this.#mayCall(request)) return TOO_MANY;
      // Never joined to a flight that began before it: that one may bring the very token the client wants replaced.
      return this.#conclude(key, request, this.#fly(key, request, "bypass"), "bypass", signal);
    }
    if (request.bypassCache) {
      const ordinary = this.#peek(key, { ...request, bypassCache: false });
      if (ordinary !== undefined) return ordinary;
    }
    const refusal = this.#refusals.get(key);
    if (refusal !== undefined) {
      if (this.#options.clock.monotonicMs() < refusal.until) return this.#staleOr(key, refusal.outcome);
      this.#refusals.delete(key);
    }
    const running = this.#flights.get(key)?.flight;
    if (running === undefined && !this.#mayCall(request)) return this.#staleOr(key, TOO_MANY);
    const flight = running ?? this.#fly(key, { ...request, bypassCache: false }, undefined);
    return this.#conclude(key, request, flight, running === undefined ? "miss" : "joined", signal);
  }

  #mayCall({ pod }: BrokerRequest): boolean {
    return !this.#options.cache || this.#allowance.take(pod.uid);
  }

  #newFlight(key: string, request: BrokerRequest, bypassCache: boolean): Flight {
    const { pod, identity, resource, capabilities } = request;
    const source: SourceRequest = { pod, identity, resource, capabilities, bypassCache };
    const limiter = request.source.limiter ?? this.#options.limiter;
    return new Flight({
      clock: this.#options.clock,
      attempt: () =>
        limiter.run(pod.uid, () => {
          this.#counters.upstream++;
          return request.source.fetch(source);
        }),
      lagUntilMs: lagUntil(request),
      notYetUntilMs: () => this.#notYetSince(key, identity) + NOT_YET_MS,
    });
  }

  #fly(key: string, request: BrokerRequest, kind: "bypass" | undefined): Flight {
    const running = this.#flights.get(key);
    if (running !== undefined && kind === undefined) return running.flight;
    const flight = this.#newFlight(key, request, kind === "bypass");
    this.#flights.set(key, { flight, identityUid: request.identity.uid });
    const landed = (): void => {
      if (this.#flights.get(key)?.flight === flight) this.#flights.delete(key);
    };
    flight.result.then((outcome) => {
      if (!flight.void) this.#remember(key, request.identity, outcome);
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
      const outcome = await this.#landed(key, flight, how, signal);
      if (outcome === undefined) return this.#staleOr(key, TOO_SLOW);
      if (outcome.kind !== "token") return this.#staleOr(key, outcome);
      const now = this.#options.clock.monotonicMs();
      const entry = this.#entries.get(key);
      if (entry?.answer === outcome.answer) return hit(entry, now, how);
      return hit(this.#entry(request.identity, outcome.answer), now, how);
    } catch (error) {
      if (error instanceof LimiterFullError) return this.#staleOr(key, { kind: "overloaded", message: error.message });
      const latest = signal.aborted ? flight.latest : undefined;
      if (latest?.kind === "not-yet") return { ...latest, pending: true };
      throw error;
    } finally {
      flight.leave();
    }
  }

  /** @returns undefined when it takes longer than one waits who could have the old token */
  async #landed(
    key: string,
    flight: Flight,
    how: CacheOutcome,
    signal: AbortSignal,
  ): Promise<SourceOutcome | undefined> {
    const { clock } = this.#options;
    const landing = orAborted(flight.result, signal);
    const entry = this.#entries.get(key);
    const patient = how === "bypass" || how === "off" || entry === undefined;
    if (patient || freshness(entry, clock.monotonicMs()) === "expired") return landing;
    let timer: { cancel(): void } | undefined;
    const late = new Promise<undefined>((resolve) => {
      const leftMs = flight.startedMs + PATIENCE_WITH_TOKEN_MS - clock.monotonicMs();
      timer = clock.setTimeout(() => resolve(undefined), Math.max(0, leftMs));
    });
    try {
      return await Promise.race([landing, late]);
    } finally {
      timer?.cancel();
      // If the patience is over first, nobody else hears of the abortion.
      landing.catch(() => undefined);
    }
  }

  /** A source that is down does not take away a token that is still valid; a refusal does. */
  #staleOr(key: string, outcome: Exclude<BrokerResult, { kind: "token" }>): BrokerResult {
    if (outcome.kind !== "unavailable" && outcome.kind !== "overloaded") return outcome;
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
        this.#notYet.delete(key);
        this.#entries.delete(key);
        this.#entries.set(key, this.#entry(identity, outcome.answer));
        trim(this.#entries, this.#options.maxEntries);
        return;
      case "refused":
        this.#entries.delete(key);
        this.#refuse(key, identity, outcome, now + REFUSED_FOR_MS);
        return;
      case "unavailable": {
        const entry = this.#entries.get(key);
        const alive = entry !== undefined && freshness(entry, now) !== "expired";
        const forMs = alive ? STALE_FOR_MS : UNAVAILABLE_FOR_MS;
        this.#refuse(key, identity, outcome, now + Math.max(forMs, outcome.retryAfterMs ?? 0));
        return;
      }
      case "mismatch":
        this.#entries.delete(key);
        return;
      case "not-yet":
      case "identity-not-found":
        return;
    }
  }

  #refuse(key: string, { uid: identityUid }: IdentityRecord, outcome: Failure, until: number): void {
    this.#refusals.delete(key);
    this.#refusals.set(key, { outcome, until, identityUid });
    trim(this.#refusals, this.#options.maxEntries);
  }

  #notYetSince(key: string, { uid: identityUid }: IdentityRecord): number {
    const known = this.#notYet.get(key);
    if (known !== undefined) return known.since;
    const since = this.#options.clock.monotonicMs();
    this.#notYet.set(key, { since, identityUid });
    trim(this.#notYet, this.#options.maxEntries);
    return since;
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

interface Remembered {
  readonly identityUid: string;
}

type Failure = Extract<SourceOutcome, { kind: "refused" | "unavailable" }>;

const TOO_MANY: Extract<BrokerResult, { kind: "overloaded" }> = {
  kind: "overloaded",
  message: "this pod asks for too many different tokens at once; try again",
};
const TOO_SLOW: Extract<BrokerResult, { kind: "unavailable" }> = {
  kind: "unavailable",
  message: "the source of the identity's tokens does not answer",
};
const FORGOTTEN: Extract<BrokerResult, { kind: "unavailable" }> = {
  kind: "unavailable",
  message: "what the token depends on has just changed; try again",
};

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

function forget(map: Map<string, Remembered>, identityUid: string): number {
  let count = 0;
  for (const [key, remembered] of map) {
    if (remembered.identityUid !== identityUid) continue;
    map.delete(key);
    count++;
  }
  return count;
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
