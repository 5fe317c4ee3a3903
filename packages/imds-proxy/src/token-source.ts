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

/** Why a source has no token. `reason` is stable and a metric label. */
export type SourceOutcome =
  | { readonly kind: "token"; readonly answer: TokenAnswer }
  /** IMDS does not know the identity (yet): it lags ARM by up to minutes. */
  | { readonly kind: "identity-not-found"; readonly message: string }
  /** Somebody else answered than the identity that was asked for. Never kept. */
  | { readonly kind: "mismatch"; readonly message: string }
  /** Final: asking again gives the same. */
  | { readonly kind: "refused"; readonly reason: string; readonly message: string }
  /** Worth another try. */
  | { readonly kind: "unavailable"; readonly message: string };

/** One way to get tokens; type 0 asks IMDS, others Entra. Expected failures are outcomes, not exceptions. */
export interface TokenSource {
  /**
   * What else could make it another token than identity, resource and capabilities: the version of a Secret, the UID of
   * the pod's ServiceAccount. Part of the cache's key; absent: nothing else.
   */
  inputs?(request: SourceRequest): string;
  fetch(request: SourceRequest): Promise<SourceOutcome>;
}
