import type { IdentityType } from "@podid/crd-types";
import type { IdentityRecord } from "@podid/matcher";
import type { Clock } from "./clock.ts";
import { decide } from "./decide.ts";
import type { DecisionRules } from "./decide.ts";
import type { ImdsForwarder } from "./imds-forwarder.ts";
import { ObjectIds } from "./object-ids.ts";
import { ParkingLot } from "./parking-lot.ts";
import type { PodCandidate, PodDirectory, Standing } from "./pod-directory.ts";
import { errorReply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { TokenRequest } from "./request.ts";
import { tokenReply } from "./token-answer.ts";
import type { BrokerRequest, BrokerResult, CacheOutcome, TokenBroker } from "./token-broker.ts";
import type { TokenSource } from "./token-source.ts";

/** One token request of one client. */
export interface TokenCall {
  readonly request: TokenRequest;
  /** The socket's peer, normalised. */
  readonly address: string;
  /** The connection as an object: it belongs to the pod that used it first. */
  readonly connection: object;
  /** Aborts when the client leaves. A function, because most calls are answered without ever needing it. */
  readonly gone: () => AbortSignal;
}

/** What happened to a call; for metrics, logs and audit. Holds no token. */
export interface TokenFacts {
  readonly outcome:
    | "token"
    | "forwarded"
    | "denied"
    | "timeout"
    | "unavailable"
    | "overloaded"
    | "draining"
    | "cancelled";
  /** Stable; a metric label. */
  readonly reason?: string;
  readonly message?: string;
  readonly pod?: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly identity?: IdentityRecord;
  readonly cache?: CacheOutcome;
  /** Several identities could have been the default. */
  readonly others?: number;
  /** Milliseconds spent waiting for the cluster and for the source. */
  readonly parkedMs: number;
  readonly sourceMs: number;
}

export interface TokenResult {
  readonly reply: Reply;
  readonly facts: TokenFacts;
}

export interface TokenServiceRules extends DecisionRules {
  /** The longest a request waits: official SDKs give up at 60 s. */
  readonly maxWaitMs: number;
  /** Of it, how long an address may belong to no known pod. */
  readonly unknownPodMs: number;
  readonly parkedPerPod: number;
  readonly parkedTotal: number;
  /** Status when an identity is still not attached; upstream's was 404, or 503 with a long Retry-After. */
  readonly lateStatus: 404 | 503 | 504;
  /** Seconds; undefined: 1 to 3 by chance, so that the clients of one node do not come back together. */
  readonly lateRetryAfter: number | undefined;
}

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

export interface TokenServiceOptions {
  readonly directory: PodDirectory;
  readonly broker: TokenBroker;
  readonly forwarder: ImdsForwarder;
  /** By `spec.type`; an identity of a type without a source is refused. */
  readonly sources: Partial<Readonly<Record<IdentityType, TokenSource>>>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly rules?: Partial<TokenServiceRules>;
}

/** A short wait for the cluster is no reason to give up on a source that is answering. */
const SOURCE_MS = 15_000;

type State =
  | { readonly kind: "final"; readonly result: TokenResult }
  | { readonly kind: "forward"; readonly standing: Standing }
  | {
      readonly kind: "serve";
      readonly standing: Standing;
      readonly candidate: PodCandidate;
      readonly others: number;
      readonly broker: BrokerRequest;
    }
  /** The object ids of these identities have to be known first. */
  | { readonly kind: "learn"; readonly standing: Standing; readonly candidates: readonly BrokerRequest[] }
  /** `untilMs`: monotonic; the answer when it has passed. */
  | {
      readonly kind: "park";
      readonly key: string;
      readonly untilMs: number;
      readonly recheckInMs?: number;
      readonly late: TokenResult;
    };

interface Timing {
  readonly startedMs: number;
  parkedMs: number;
  sourceMs: number;
}

/**
 * Answers token requests: who asks, may it, as whom, from the cache or the source; and waits, on events and never
 * longer than SDKs do, for what is on its way. Ownership of the address and authorisation are established again
 * after every wait, immediately before the answer.
 */
export class TokenService {
  readonly #options: TokenServiceOptions;
  readonly #rules: TokenServiceRules;
  readonly #lot: ParkingLot;
  readonly #objectIds = new ObjectIds();
  readonly #owners = new WeakMap<object, string>();
  readonly #drain = new AbortController();

  constructor(options: TokenServiceOptions) {
    this.#options = options;
    this.#rules = { ...DEFAULT_RULES, ...options.rules };
    this.#lot = new ParkingLot({ perKey: this.#rules.parkedPerPod, total: this.#rules.parkedTotal });
  }

  /** Requests waiting now. */
  get parked(): number {
    return this.#lot.size;
  }

  /** Answers everything that waits, and whatever would have to, with a retryable error that closes the connection. */
  drain(): void {
    this.#drain.abort();
  }

  /** Without a promise when the token is cached or the refusal certain: that is the hot path. */
  handle(call: TokenCall): TokenResult | Promise<TokenResult> {
    const timing: Timing = { startedMs: this.#options.clock.monotonicMs(), parkedMs: 0, sourceMs: 0 };
    const state = this.#evaluate(call, timing);
    if (state.kind === "final") return state.result;
    if (state.kind === "serve") {
      const cached = this.#options.broker.peek(state.broker);
      if (cached !== undefined) return this.#answer(cached, state, timing);
    }
    return this.#wait(call, state, timing);
  }

  async #wait(call: TokenCall, first: State, timing: Timing): Promise<TokenResult> {
    const { clock } = this.#options;
    const deadlineMs = timing.startedMs + this.#rules.maxWaitMs;
    const limitMs = Math.max(this.#rules.maxWaitMs, SOURCE_MS);
    const stop = new AbortController();
    const timer = clock.setTimeout(() => stop.abort(), limitMs);
    const gone = call.gone();
    const giveUp = AbortSignal.any([stop.signal, gone, this.#drain.signal]);
    let leave: (() => void) | undefined;
    try {
      for (let state = first; ; state = this.#evaluate(call, timing)) {
        if (state.kind === "final") return state.result;
        if (gone.aborted) return this.#ended("cancelled", timing);
        if (this.#drain.signal.aborted) return this.#ended("draining", timing);
        const now = clock.monotonicMs();
        switch (state.kind) {
          case "forward": {
            const reply = await this.#options.forwarder.forward(call.request, state.standing.pod.uid, gone);
            timing.sourceMs += clock.monotonicMs() - now;
            // IMDS answered the node's question; it must still be this pod that may hear it.
            if (this.#evaluate(call, timing).kind !== "forward") continue;
            return { reply, facts: { outcome: "forwarded", ...this.#times(timing), ...podFacts(state.standing) } };
          }
          case "learn":
          case "serve": {
            if (now >= timing.startedMs + limitMs) return this.#ended("timeout", timing);
            const asked = state.kind === "serve" ? [state.broker] : state.candidates;
            const results = await this.#fetch(asked, giveUp);
            timing.sourceMs += clock.monotonicMs() - now;
            if (results === undefined) continue;
            if (state.kind === "learn") {
              const failed = this.#objectIds.learn(state.candidates, results);
              if (failed?.kind === "unavailable" || failed?.kind === "overloaded") {
                return this.#error(503, failed.kind, failed.message, failed.kind, timing, podFacts(state.standing), 1);
              }
              continue;
            }
            const again = this.#evaluate(call, timing);
            const result = results[0];
            if (result === undefined || again.kind !== "serve" || !sameGrant(again, state)) continue;
            return this.#answer(result, again, timing);
          }
          case "park": {
            if (now >= Math.min(state.untilMs, deadlineMs)) return state.late;
            leave ??= this.#lot.enter(state.key);
            if (leave === undefined) return this.#ended("overloaded", timing);
            const until = Math.min(state.untilMs, deadlineMs, now + (state.recheckInMs ?? Infinity));
            await this.#change(until - now, giveUp);
            timing.parkedMs += clock.monotonicMs() - now;
          }
        }
      }
    } finally {
      timer.cancel();
      leave?.();
    }
  }

  /** @returns undefined when given up */
  async #fetch(requests: readonly BrokerRequest[], signal: AbortSignal): Promise<readonly BrokerResult[] | undefined> {
    try {
      return await Promise.all(requests.map((request) => this.#options.broker.get(request, signal)));
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }

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

  #evaluate(call: TokenCall, timing: Timing): State {
    const { directory, clock } = this.#options;
    const owner = directory.owner(call.address);
    const deadlineMs = timing.startedMs + this.#rules.maxWaitMs;
    switch (owner.kind) {
      case "unsynced":
        return this.#park(call.address, deadlineMs, timing, 500, "unsynced", owner.message);
      case "ambiguous":
        return this.#park(call.address, deadlineMs, timing, 500, "address-ambiguous", owner.message);
      case "unknown":
        return this.#unknown(call, timing);
      case "denied": {
        const { reason, message } = owner.denial;
        return { kind: "final", result: this.#error(403, reason, message, "denied", timing, {}) };
      }
      case "pod":
    }
    const first = this.#owners.get(call.connection);
    if (first !== undefined && first !== owner.uid) return this.#otherOwner(timing);
    const standing = directory.standing(owner.uid);
    if (standing === undefined) return this.#unknown(call, timing);
    this.#owners.set(call.connection, owner.uid);

    const requested = call.request.requested;
    const known =
      requested.objectId === undefined
        ? standing
        : { ...standing, candidates: this.#objectIds.fill(standing.candidates) };
    const decision = decide(known, requested, this.#rules, clock.wallMs());
    switch (decision.kind) {
      case "forward":
        return { kind: "forward", standing };
      case "deny": {
        const { status, denial } = decision;
        if (denial.reason === "object-id-unknown") {
          const unknown = this.#objectIds
            .unknown(standing.candidates)
            .flatMap((candidate) => this.#brokerRequest(call, standing, candidate, false) ?? []);
          if (unknown.length > 0) return { kind: "learn", standing, candidates: unknown };
        }
        const error = status === 400 ? "invalid_request" : denial.reason;
        return this.#final(status, error, denial.reason, denial.message, "denied", timing, standing);
      }
      case "park": {
        const { denial, recheckInMs } = decision;
        const late = this.#park(
          standing.pod.uid,
          deadlineMs,
          timing,
          this.#rules.lateStatus,
          denial.reason,
          `${denial.message}; not there after ${Math.round(this.#rules.maxWaitMs / 1000)} s`,
          standing,
        );
        return recheckInMs === undefined ? late : { ...late, recheckInMs };
      }
      case "serve": {
        const broker = this.#brokerRequest(call, standing, decision.candidate, call.request.bypassCache);
        if (broker !== undefined)
          return { kind: "serve", standing, candidate: decision.candidate, others: decision.others, broker };
        const { namespace, name, spec } = decision.candidate.identity;
        const message = `AzureIdentity ${namespace}/${name} has spec.type ${spec.type ?? 0}, which is not served here`;
        return this.#final(
          403,
          "identity-type-unsupported",
          "identity-type-unsupported",
          message,
          "denied",
          timing,
          standing,
        );
      }
    }
  }

  #brokerRequest(
    call: TokenCall,
    standing: Standing,
    candidate: PodCandidate,
    bypassCache: boolean,
  ): BrokerRequest | undefined {
    const source = this.#options.sources[candidate.identity.spec.type ?? 0];
    if (source === undefined) return undefined;
    const { attachment, identity } = candidate;
    return {
      source,
      identity,
      resource: call.request.resource,
      capabilities: call.request.capabilities,
      bypassCache,
      podUid: standing.pod.uid,
      attachedAtMs: attachment.kind === "attached" ? attachment.sinceMs : undefined,
    };
  }

  #answer(result: BrokerResult, state: Extract<State, { kind: "serve" }>, timing: Timing): TokenResult {
    const { standing, candidate, others } = state;
    const who = { ...podFacts(standing), identity: candidate.identity };
    const { namespace, name } = candidate.identity;
    switch (result.kind) {
      case "token": {
        const facts: TokenFacts = { outcome: "token", ...who, cache: result.cache, others, ...this.#times(timing) };
        return { reply: tokenReply(result.answer, result.remainingSeconds), facts };
      }
      case "mismatch":
        return this.#error(403, "identity-mismatch", result.message, "denied", timing, who);
      case "refused":
        return this.#error(403, result.reason, result.message, "denied", timing, who);
      case "identity-not-found": {
        const message = `${result.message}: IMDS does not know the managed identity of AzureIdentity ${namespace}/${name} on this node; check spec.resourceID and whether it is attached`;
        return this.#error(403, "identity-not-found", message, "denied", timing, who);
      }
      case "unavailable":
        return this.#error(503, "source-unavailable", result.message, "unavailable", timing, who, 1);
      case "overloaded":
        return this.#error(503, "overloaded", result.message, "overloaded", timing, who, 1);
    }
  }

  #unknown(call: TokenCall, timing: Timing): State {
    const untilMs = timing.startedMs + Math.min(this.#rules.unknownPodMs, this.#rules.maxWaitMs);
    const message = `pod list is empty: no pod of this node has the address ${call.address}`;
    return this.#park(call.address, untilMs, timing, 500, "pod-unknown", message);
  }

  #otherOwner(timing: Timing): State {
    const message = "the address of this connection belongs to another pod now; connect again";
    const result = this.#error(500, "address-changed", message, "denied", timing, {}, 1);
    return { kind: "final", result: { ...result, reply: { ...result.reply, close: true } } };
  }

  #park(
    key: string,
    untilMs: number,
    timing: Timing,
    status: 404 | 500 | 503 | 504,
    reason: string,
    message: string,
    standing?: Standing,
  ): Extract<State, { kind: "park" }> {
    const retryAfter = status === 500 ? 1 : (this.#rules.lateRetryAfter ?? 1 + Math.floor(this.#options.random() * 3));
    const late = this.#error(
      status,
      reason,
      message,
      "timeout",
      timing,
      standing === undefined ? {} : podFacts(standing),
      retryAfter,
    );
    return { kind: "park", key, untilMs, late };
  }

  #final(
    status: number,
    error: string,
    reason: string,
    message: string,
    outcome: TokenFacts["outcome"],
    timing: Timing,
    standing: Standing,
  ): State {
    const reply = errorReply(status, error, message);
    return {
      kind: "final",
      result: { reply, facts: { outcome, reason, message, ...podFacts(standing), ...this.#times(timing) } },
    };
  }

  #error(
    status: number,
    reason: string,
    message: string,
    outcome: TokenFacts["outcome"],
    timing: Timing,
    who: Partial<TokenFacts>,
    retryAfterSeconds?: number,
  ): TokenResult {
    const reply = errorReply(status, reason, message, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
    return { reply, facts: { outcome, reason, message, ...who, ...this.#times(timing) } };
  }

  #ended(outcome: "cancelled" | "draining" | "timeout" | "overloaded", timing: Timing): TokenResult {
    const text = {
      cancelled: [503, "the client left"],
      draining: [503, "the node agent is restarting; try again"],
      timeout: [
        504,
        `the identity's source did not answer within ${Math.round(Math.max(this.#rules.maxWaitMs, SOURCE_MS) / 1000)} s`,
      ],
      overloaded: [503, "too many requests of this pod or node are waiting already"],
    } as const;
    const [status, message] = text[outcome];
    const result = this.#error(status, outcome, message, outcome, timing, {}, 1);
    return outcome === "draining" ? { ...result, reply: { ...result.reply, close: true } } : result;
  }

  #times(timing: Timing): { parkedMs: number; sourceMs: number } {
    return { parkedMs: timing.parkedMs, sourceMs: timing.sourceMs };
  }
}

function podFacts({ pod }: Standing): { pod: NonNullable<TokenFacts["pod"]> } {
  return { pod: { namespace: pod.namespace, name: pod.name, uid: pod.uid } };
}

/** The same pod, and the same identity in the same edition, as before the wait. */
function sameGrant(now: Extract<State, { kind: "serve" }>, before: Extract<State, { kind: "serve" }>): boolean {
  const [a, b] = [now.candidate.identity, before.candidate.identity];
  return now.standing.pod.uid === before.standing.pod.uid && a.uid === b.uid && a.fingerprint === b.fingerprint;
}
