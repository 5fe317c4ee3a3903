import { Assessor } from "./assessor.ts";
import type { Assessment, AssessorOptions, Grant, TokenCall, TokenServiceRules } from "./assessor.ts";
import type { ImdsForwarder } from "./imds-forwarder.ts";
import { ParkingLot } from "./parking-lot.ts";
import type { BrokerRequest, BrokerResult, TokenBroker } from "./token-broker.ts";
import { brokerResult, errorResult, forwardedResult, retryable } from "./token-result.ts";
import type { Timing, TokenResult } from "./token-result.ts";

export const DEFAULT_RULES: TokenServiceRules = {
  maxWaitMs: 55_000,
  unknownPodMs: 15_000,
  bindingGraceMs: 60_000,
  foreignIdentityStatus: 403,
  parkedPerPod: 32,
  parkedTotal: 1_024,
  lateStatus: 504,
  lateRetryAfter: undefined,
};

export interface TokenServiceOptions extends Omit<AssessorOptions, "rules"> {
  readonly broker: TokenBroker;
  readonly forwarder: ImdsForwarder;
  readonly rules?: Partial<TokenServiceRules>;
}

/** A short wait for the cluster is no reason to give up on a source that is answering. */
const SOURCE_MS = 15_000;
/**
 * Requests that wait for a source. Thousands may want one token at once, and cost one call; but a source can take a minute, and
 * on one connection any number of requests can be sent behind each other.
 */
const SOURCE_WAITERS = { perKey: 2_048, total: 8_192 };

/**
 * Answers token requests: who asks, may it, as whom, from the cache or the source; and waits, on events and never
 * longer than SDKs do, for what is on its way. Ownership of the address and authorisation are established again
 * after every wait, immediately before the answer.
 */
export class TokenService {
  readonly #options: TokenServiceOptions;
  readonly #rules: TokenServiceRules;
  readonly #assessor: Assessor;
  readonly #lot: ParkingLot;
  readonly #asking = new ParkingLot(SOURCE_WAITERS);
  /** Ends the wait of each. No signal for all: its listeners are looked through whenever one comes or goes. */
  readonly #waiting = new Set<() => void>();
  #draining = false;

  constructor(options: TokenServiceOptions) {
    this.#options = options;
    this.#rules = { ...DEFAULT_RULES, ...options.rules };
    this.#assessor = new Assessor({ ...options, rules: this.#rules });
    this.#lot = new ParkingLot({ perKey: this.#rules.parkedPerPod, total: this.#rules.parkedTotal });
  }

  /** Requests waiting now. */
  get parked(): number {
    return this.#lot.size;
  }

  /** Answers everything that waits, and whatever would have to, with a retryable error that closes the connection. */
  drain(): void {
    this.#draining = true;
    for (const abort of this.#waiting) abort();
  }

  /** Without a promise when the token is cached or the refusal certain: that is the hot path. */
  handle(call: TokenCall): TokenResult | Promise<TokenResult> {
    const timing: Timing = { startedMs: this.#options.clock.monotonicMs(), parkedMs: 0, sourceMs: 0 };
    const now = this.#assessor.assess(call, timing);
    if (now.kind === "final") return now.result;
    if (now.kind === "serve") {
      const cached = this.#options.broker.peek(now.broker);
      if (cached !== undefined) return brokerResult(cached, now, timing);
    }
    return this.#wait(call, now, timing);
  }

  async #wait(call: TokenCall, first: Assessment, timing: Timing): Promise<TokenResult> {
    const { clock } = this.#options;
    const limitMs = Math.max(this.#rules.maxWaitMs, SOURCE_MS);
    let isLate = false;
    // One controller with listeners: AbortSignal.any costs more than the rest of this method.
    const end = new AbortController();
    const giveUp = end.signal;
    const abort = (): void => end.abort();
    const timer = clock.setTimeout(() => {
      isLate = true;
      abort();
    }, limitMs);
    const gone = call.gone();
    if (gone.aborted || this.#draining) abort();
    else gone.addEventListener("abort", abort, { once: true });
    this.#waiting.add(abort);
    let leave: (() => void) | undefined;
    let leaveSource: (() => void) | undefined;
    try {
      for (let state = first; ; state = this.#assessor.assess(call, timing)) {
        if (state.kind === "final") return state.result;
        if (gone.aborted) return this.#ended("cancelled", timing);
        if (this.#draining) return this.#ended("draining", timing);
        if (isLate && state.kind !== "park") return this.#ended("timeout", timing);
        const before = clock.monotonicMs();
        let result: TokenResult | undefined;
        switch (state.kind) {
          case "forward":
            result = await this.#forward(call, state, timing, gone);
            break;
          case "serve":
          case "learn":
            leaveSource ??= this.#asking.enter(state.standing.pod.uid);
            if (leaveSource === undefined) return this.#ended("overloaded", timing);
            result =
              state.kind === "serve"
                ? await this.#fetch(call, state, timing, giveUp)
                : await this.#learn(call, state, timing, giveUp);
            break;
          case "park": {
            if (before >= state.untilMs) return state.late;
            leave ??= this.#lot.enter(state.key);
            if (leave === undefined) return this.#ended("overloaded", timing);
            await this.#change(Math.min(state.untilMs - before, state.recheckInMs ?? Infinity), giveUp);
            timing.parkedMs += clock.monotonicMs() - before;
          }
        }
        if (result !== undefined) return result;
      }
    } finally {
      timer.cancel();
      this.#waiting.delete(abort);
      leave?.();
      leaveSource?.();
    }
  }

  /** Each of these returns undefined when the call has to be assessed anew. */
  async #forward(
    call: TokenCall,
    { standing }: Extract<Assessment, { kind: "forward" }>,
    timing: Timing,
    gone: AbortSignal,
  ): Promise<TokenResult | undefined> {
    const { clock, forwarder } = this.#options;
    const before = clock.monotonicMs();
    const reply = await forwarder.forward(call.request, standing.pod.uid, gone);
    timing.sourceMs += clock.monotonicMs() - before;
    // IMDS answered the node's question; it must still be this pod that may hear it.
    const again = this.#assessor.assess(call, timing);
    const same = again.kind === "forward" && again.standing.pod.uid === standing.pod.uid;
    return same ? forwardedResult(reply, standing, timing) : undefined;
  }

  async #fetch(call: TokenCall, grant: Grant, timing: Timing, signal: AbortSignal): Promise<TokenResult | undefined> {
    const results = await this.#ask([grant.broker], timing, signal);
    const again = this.#assessor.assess(call, timing);
    const [result] = results ?? [];
    return result !== undefined && again.kind === "serve" && sameGrant(again, grant)
      ? brokerResult(result, again, timing)
      : undefined;
  }

  async #learn(
    call: TokenCall,
    { candidates, standing }: Extract<Assessment, { kind: "learn" }>,
    timing: Timing,
    signal: AbortSignal,
  ): Promise<TokenResult | undefined> {
    const results = await this.#ask(candidates, timing, signal);
    const failed = results === undefined ? undefined : this.#assessor.learn(candidates, results);
    const passing = failed?.kind === "unavailable" || failed?.kind === "overloaded" ? failed : undefined;
    // One source that is down says nothing about an identity whose object id is known by now.
    return passing === undefined || this.#assessor.assess(call, timing).kind !== "learn"
      ? undefined
      : errorResult({ ...retryable(passing), timing, standing });
  }

  /** @returns undefined when given up */
  async #ask(
    requests: readonly BrokerRequest[],
    timing: Timing,
    signal: AbortSignal,
  ): Promise<readonly BrokerResult[] | undefined> {
    const { broker, clock } = this.#options;
    const before = clock.monotonicMs();
    try {
      return await Promise.all(requests.map((request) => broker.get(request, signal)));
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    } finally {
      timing.sourceMs += clock.monotonicMs() - before;
    }
  }

  /** Resolves when the directory changes, the time is over or the signal aborts. */
  #change(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        unwatch();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.#options.clock.setTimeout(done, ms);
      const unwatch = this.#options.directory.watch(done);
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }

  #ended(outcome: keyof typeof ENDS, timing: Timing): TokenResult {
    const { status, message } = ENDS[outcome];
    const close = outcome === "draining";
    return errorResult({ status, outcome, reason: outcome, message, timing, retryAfterSeconds: 1, close });
  }
}

const ENDS = {
  cancelled: { status: 503, message: "the client left" },
  draining: { status: 503, message: "the node agent is restarting; try again" },
  timeout: { status: 504, message: "the source of the identity's tokens did not answer in time" },
  overloaded: { status: 503, message: "too many requests of this pod or node are waiting already" },
} as const;

/** The same pod, and the same identity in the same edition, as before the wait. */
function sameGrant(now: Grant, before: Grant): boolean {
  const [a, b] = [now.candidate.identity, before.candidate.identity];
  return now.standing.pod.uid === before.standing.pod.uid && a.uid === b.uid && a.fingerprint === b.fingerprint;
}
