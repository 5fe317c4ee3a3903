import type { IdentityRecord, PodRecord } from "@podid/matcher";
import type { TokenAnswer } from "./token-answer.ts";

/** Everything a source needs to get one token. */
export interface SourceRequest {
  /** On whose behalf. Pods share tokens of an identity unless the source's `inputs` tell them apart. */
  readonly pod: PodRecord;
  readonly identity: IdentityRecord;
  readonly resource: string;
  readonly capabilities: string | undefined;
  readonly bypassCache: boolean;
}

/** A failure that another attempt may cure. */
export interface Unavailable {
  readonly kind: "unavailable";
  readonly message: string;
  /** The source asked not to be asked again sooner. */
  readonly retryAfterMs?: number;
  /** Entra's name for the request. */
  readonly correlationId?: string;
}

/** Final: asking again gives the same. `reason` is stable and a metric label. */
export interface Refused {
  readonly kind: "refused";
  readonly reason: string;
  readonly message: string;
  /** Entra's name for the request. */
  readonly correlationId?: string;
}

/** Somebody has just set up what is asked for, and the source has not heard of it. Retried while that may be, never kept. */
export interface NotYet {
  readonly kind: "not-yet";
  /** Stable; a metric label. */
  readonly reason: string;
  readonly message: string;
  /** The caller stopped waiting while it could still have come. */
  readonly pending?: boolean;
  /** Entra's name for the request. */
  readonly correlationId?: string;
}

/** Why a source has no token. */
export type SourceOutcome =
  | { readonly kind: "token"; readonly answer: TokenAnswer }
  /** IMDS does not know the identity (yet): it lags ARM by up to minutes. */
  | { readonly kind: "identity-not-found"; readonly message: string }
  /** Somebody else answered than the identity that was asked for. Never kept. */
  | { readonly kind: "mismatch"; readonly message: string }
  | NotYet
  | Refused
  | Unavailable;

/** Starts tasks when there is room for them; tasks of different keys take turns. */
export interface Limiter {
  /** @throws LimiterFullError, at once, when too many of that key are waiting */
  run<T>(key: string, task: () => Promise<T>): Promise<T>;
}

/** One way to get tokens; type 0 asks IMDS, others Entra. Expected failures are outcomes, not exceptions. */
export interface TokenSource {
  /**
   * What else could make it another token than identity, resource and capabilities: the version of a Secret, the UID of
   * the pod's ServiceAccount. Part of the cache's key; absent: nothing else. Undefined: not known at the moment;
   * {@link prepare} finds it out.
   */
  inputs?(request: SourceRequest): string | undefined;
  /** Makes `inputs` known, or says why it cannot. Called only while they are not. */
  prepare?(request: SourceRequest): Promise<Refused | Unavailable | undefined>;
  fetch(request: SourceRequest): Promise<SourceOutcome>;
  /** In whose turn and at which rate it is asked; absent: the broker's own. */
  readonly limiter?: Limiter;
  /** Drops what is known of a pod that is gone. */
  forgetPod?(podUid: string): void;
}
