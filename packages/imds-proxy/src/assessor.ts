import type { IdentityType } from "@podid/crd-types";

import type { Clock } from "./clock.ts";
import { decide } from "./decide.ts";
import type { DecisionRules } from "./decide.ts";
import { ObjectIds } from "./object-ids.ts";
import type { PodCandidate, PodDirectory, Standing } from "./pod-directory.ts";
import type { TokenRequest } from "./request.ts";
import type { BrokerRequest, BrokerResult } from "./token-broker.ts";
import { errorResult } from "./token-result.ts";
import type { Timing, TokenResult } from "./token-result.ts";
import type { TokenSource } from "./token-source.ts";

/** One token request of one client. */
export interface TokenCall {
  readonly request: TokenRequest;
  /** The socket's peer, normalised. */
  readonly address: string;
  /** The connection as an object: it belongs to the pod that used it first. */
  readonly connection: object;
  /** A process of the host asks for this pod; the address and the connection say nothing then. */
  readonly pod?: { readonly namespace: string; readonly name: string };
  /** Aborts when the client leaves. A function, because most calls are answered without ever needing it. */
  readonly gone: () => AbortSignal;
}

export interface TokenServiceRules extends DecisionRules {
  /** The longest a request waits for the cluster: official SDKs give up at 60 s. */
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

/** That the pod may have a token of that identity now. */
export interface Grant {
  readonly kind: "serve";
  readonly standing: Standing;
  readonly candidate: PodCandidate;
  /** Further identities that fit a request that names none. */
  readonly others: number;
  readonly broker: BrokerRequest;
}

/** Where a call stands at one moment. */
export type Assessment =
  | { readonly kind: "final"; readonly result: TokenResult }
  | { readonly kind: "forward"; readonly standing: Standing }
  | Grant
  /** The object ids of these identities have to be known first. */
  | { readonly kind: "learn"; readonly standing: Standing; readonly candidates: readonly BrokerRequest[] }
  | Parked;

export interface Parked {
  readonly kind: "park";
  /** Pod UID or address: whose share of waiting places it takes. */
  readonly key: string;
  /** Monotonic; when it has passed, `late` is the answer. */
  readonly untilMs: number;
  /** Look again then, even if nothing has changed. */
  readonly recheckInMs?: number;
  readonly late: TokenResult;
}

export interface AssessorOptions {
  readonly directory: PodDirectory;
  /** By `spec.type`; an identity of a type without a source is refused. */
  readonly sources: Partial<Readonly<Record<IdentityType, TokenSource>>>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly rules: TokenServiceRules;
}

/** Establishes who asks and what that pod may have, from the live picture and without waiting; as often as needed. */
export class Assessor {
  readonly #options: AssessorOptions;
  readonly #objectIds = new ObjectIds();
  readonly #connections = new WeakMap<object, string>();

  constructor(options: AssessorOptions) {
    this.#options = options;
  }

  assess(call: TokenCall, timing: Timing): Assessment {
    const { directory, rules } = this.#options;
    const { pod } = call;
    const owner = pod === undefined ? directory.owner(call.address) : directory.named(pod.namespace, pod.name);
    const untilMs = timing.startedMs + rules.maxWaitMs;
    switch (owner.kind) {
      case "unsynced":
        return this.#park(call, untilMs, timing, 500, "unsynced", owner.message);
      case "ambiguous":
        return this.#park(call, untilMs, timing, 500, "address-ambiguous", owner.message);
      case "unknown":
        return this.#unknown(call, timing);
      case "denied":
        return final(errorResult({ status: 403, outcome: "denied", ...owner.denial, timing }));
      case "pod":
    }
    const standing = directory.standing(owner.uid);
    if (pod !== undefined) {
      if (standing === undefined) return this.#unknown(call, timing);
      // An exception is about what the pod itself sends; for the host it would be a token of the node.
      return this.#decide(call, standing.excepted ? { ...standing, excepted: false } : standing, timing);
    }
    const former = this.#connections.get(call.connection);
    if (former === undefined) {
      if (standing !== undefined) this.#connections.set(call.connection, owner.uid);
    } else if (former !== owner.uid) return otherOwner(timing);
    if (standing === undefined) return this.#unknown(call, timing);
    return this.#decide(call, standing, timing);
  }

  /** @returns a result that says nothing about its identity, because the source could not be asked */
  learn(asked: readonly BrokerRequest[], results: readonly BrokerResult[]): BrokerResult | undefined {
    return this.#objectIds.learn(asked, results, this.#options.clock.monotonicMs());
  }

  #decide(call: TokenCall, standing: Standing, timing: Timing): Assessment {
    const { rules, clock } = this.#options;
    const { requested } = call.request;
    const candidates =
      requested.objectId === undefined ? standing.candidates : this.#objectIds.fill(standing.candidates);
    let decision = decide({ ...standing, candidates }, requested, rules, clock.wallMs());
    if (decision.kind === "deny" && decision.denial.reason === "object-id-unknown") {
      const unknown = this.#objectIds
        .unknown(standing.candidates, clock.monotonicMs())
        .flatMap((candidate) => this.#brokerRequest(call, standing, candidate, false) ?? []);
      if (unknown.length > 0) return { kind: "learn", standing, candidates: unknown };
      // What is not attached yet has no token that could tell its object id: wait for it as for one that is named.
      const pending = candidates.filter((each) => each.objectId === undefined && each.attachment.kind === "pending");
      if (pending.length > 0) decision = decide({ ...standing, candidates: pending }, {}, rules, clock.wallMs());
    }
    switch (decision.kind) {
      case "forward":
        return { kind: "forward", standing };
      case "deny":
        return final(errorResult({ status: decision.status, outcome: "denied", ...decision.denial, timing, standing }));
      case "park": {
        const { reason, message } = decision.denial;
        const text =
          decision.waitMs === undefined
            ? `${message}; not there after ${Math.round(rules.maxWaitMs / 1000)} s`
            : message;
        const untilMs = timing.startedMs + (decision.waitMs ?? rules.maxWaitMs);
        const parked = this.#park(call, untilMs, timing, rules.lateStatus, reason, text, standing);
        return decision.recheckInMs === undefined ? parked : { ...parked, recheckInMs: decision.recheckInMs };
      }
      case "serve": {
        const { candidate, others } = decision;
        const broker = this.#brokerRequest(call, standing, candidate, call.request.bypassCache);
        if (broker !== undefined) return { kind: "serve", standing, candidate, others, broker };
        const { namespace, name, spec } = candidate.identity;
        const message = `AzureIdentity ${namespace}/${name} has spec.type ${spec.type ?? 0}, which is not served here`;
        return final(
          errorResult({
            status: 403,
            outcome: "denied",
            reason: "identity-type-unsupported",
            message,
            timing,
            standing,
          }),
        );
      }
    }
  }

  #brokerRequest(
    call: TokenCall,
    standing: Standing,
    { attachment, identity }: PodCandidate,
    bypassCache: boolean,
  ): BrokerRequest | undefined {
    const source = this.#options.sources[identity.spec.type ?? 0];
    if (source === undefined) return undefined;
    return {
      source,
      identity,
      resource: call.request.resource,
      capabilities: call.request.capabilities,
      bypassCache,
      pod: standing.pod,
      attachedAtMs: attachment.kind === "attached" ? attachment.sinceMs : undefined,
    };
  }

  #unknown(call: TokenCall, timing: Timing): Parked {
    const { unknownPodMs, maxWaitMs } = this.#options.rules;
    const { pod, address } = call;
    const what = pod === undefined ? `has the address ${address}` : `is named ${pod.namespace}/${pod.name}`;
    const message = `pod list is empty: no pod of this node ${what}`;
    const untilMs = timing.startedMs + Math.min(unknownPodMs, maxWaitMs);
    return this.#park(call, untilMs, timing, 500, "pod-unknown", message);
  }

  #park(
    { pod, address }: TokenCall,
    untilMs: number,
    timing: Timing,
    status: 404 | 500 | 503 | 504,
    reason: string,
    message: string,
    standing?: Standing,
  ): Parked {
    const { rules, random } = this.#options;
    const retryAfterSeconds = status === 500 ? 1 : (rules.lateRetryAfter ?? 1 + Math.floor(random() * 3));
    const late = errorResult({ status, outcome: "timeout", reason, message, timing, standing, retryAfterSeconds });
    const named = pod === undefined ? address : `${pod.namespace}/${pod.name}`;
    return { kind: "park", key: standing?.pod.uid ?? named, untilMs, late };
  }
}

function otherOwner(timing: Timing): Assessment {
  const message = "the address of this connection belongs to another pod now; connect again";
  const error = { status: 500, outcome: "denied", reason: "address-changed", message } as const;
  return final(errorResult({ ...error, timing, retryAfterSeconds: 1, close: true }));
}

function final(result: TokenResult): Assessment {
  return { kind: "final", result };
}
