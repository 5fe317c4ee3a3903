import type { IdentityRecord, PodRecord } from "@podid/matcher";

import { issuedToken } from "./issued-token.ts";
import type { IssuedToken } from "./issued-token.ts";
import type { PodCandidate, Standing } from "./pod-directory.ts";
import { errorReply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import { tokenReply } from "./token-answer.ts";
import type { BrokerResult, CacheOutcome } from "./token-broker.ts";

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
  readonly pod?: Pick<PodRecord, "namespace" | "name" | "uid" | "serviceAccountName">;
  readonly identity?: IdentityRecord;
  /** The token that was handed out. */
  readonly issued?: IssuedToken;
  /** Entra's name for the request that failed, where it was asked. */
  readonly correlationId?: string | undefined;
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

/** How one call's time has been spent so far. */
export interface Timing {
  /** Monotonic. */
  readonly startedMs: number;
  parkedMs: number;
  sourceMs: number;
}

export interface ErrorResult {
  readonly status: number;
  readonly outcome: TokenFacts["outcome"];
  readonly reason: string;
  readonly message: string;
  readonly timing: Timing;
  readonly standing?: Standing | undefined;
  readonly identity?: IdentityRecord;
  readonly retryAfterSeconds?: number;
  readonly close?: boolean;
  readonly correlationId?: string | undefined;
}

/** An error whose `error` is its reason, except for 400, where IMDS has a word of its own. */
export function errorResult(options: ErrorResult): TokenResult {
  const { status, outcome, reason, message, timing, standing, identity, retryAfterSeconds, close } = options;
  const { correlationId } = options;
  return {
    reply: errorReply(status, status === 400 ? "invalid_request" : reason, message, {
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      ...(close === undefined ? {} : { close }),
    }),
    facts: {
      outcome,
      reason,
      message,
      ...(standing === undefined ? {} : { pod: standing.pod }),
      ...(identity === undefined ? {} : { identity }),
      ...(correlationId === undefined ? {} : { correlationId }),
      parkedMs: timing.parkedMs,
      sourceMs: timing.sourceMs,
    },
  };
}

export function forwardedResult(reply: Reply, standing: Standing, timing: Timing): TokenResult {
  const { parkedMs, sourceMs } = timing;
  return { reply, facts: { outcome: "forwarded", pod: standing.pod, parkedMs, sourceMs } };
}

/** What the broker said, as an answer to the pod. */
export function brokerResult(
  result: BrokerResult,
  grant: { readonly standing: Standing; readonly candidate: PodCandidate; readonly others: number },
  timing: Timing,
): TokenResult {
  const { standing, others } = grant;
  const { identity } = grant.candidate;
  const common = { timing, standing, identity, correlationId: correlationOf(result) };
  switch (result.kind) {
    case "token": {
      const { parkedMs, sourceMs } = timing;
      return {
        reply: tokenReply(result.answer, result.remainingSeconds),
        facts: {
          outcome: "token",
          pod: standing.pod,
          identity,
          issued: issuedToken(result.answer),
          cache: result.cache,
          others,
          parkedMs,
          sourceMs,
        },
      };
    }
    case "mismatch":
      return errorResult({
        ...common,
        status: 403,
        outcome: "denied",
        reason: "identity-mismatch",
        message: result.message,
      });
    case "not-yet": {
      const { message } = result;
      return result.pending === true
        ? errorResult({
            ...common,
            status: 504,
            outcome: "timeout",
            reason: result.reason,
            message,
            retryAfterSeconds: 2,
          })
        : errorResult({ ...common, status: 403, outcome: "denied", reason: result.reason, message });
    }
    case "refused":
      return errorResult({ ...common, status: 403, outcome: "denied", reason: result.reason, message: result.message });
    case "identity-not-found": {
      const message = `${result.message}: IMDS does not know the managed identity of AzureIdentity ${identity.namespace}/${identity.name} on this node; check spec.resourceID and whether it is attached`;
      return errorResult({ ...common, status: 403, outcome: "denied", reason: "identity-not-found", message });
    }
    case "unavailable":
    case "overloaded":
      return errorResult({ ...common, ...retryable(result) });
  }
}

/** 503 and a second's patience. */
export function retryable(result: Extract<BrokerResult, { kind: "unavailable" | "overloaded" }>): {
  readonly status: number;
  readonly outcome: "unavailable" | "overloaded";
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds: number;
} {
  const reason = result.kind === "unavailable" ? "source-unavailable" : "overloaded";
  return { status: 503, outcome: result.kind, reason, message: result.message, retryAfterSeconds: 1 };
}

function correlationOf(result: BrokerResult): string | undefined {
  return "correlationId" in result ? result.correlationId : undefined;
}
