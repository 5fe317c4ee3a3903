import type { IdentityRecord } from "@podid/matcher";
import type { PodCandidate } from "./pod-directory.ts";
import { jwtClaim } from "./token-answer.ts";
import type { BrokerRequest, BrokerResult } from "./token-broker.ts";

/** How long it is believed that an identity has none: whoever refused its token may grant it later. */
const NONE_FOR_MS = 60_000;

/**
 * An AzureIdentity does not say which object id its managed identity has; its tokens do (`oid`). Learned the first
 * time a pod asks by object id, from tokens of identities that are that pod's own anyway.
 */
export class ObjectIds {
  /** Keyed by record, so that an edited identity is looked at again. */
  readonly #ids = new WeakMap<IdentityRecord, string>();
  /** Looked, and found none: until when (monotonic) that counts. */
  readonly #none = new WeakMap<IdentityRecord, number>();

  fill(candidates: readonly PodCandidate[]): readonly PodCandidate[] {
    return candidates.map((candidate) => {
      const objectId = candidate.objectId ?? this.#ids.get(candidate.identity);
      return objectId === undefined ? candidate : { ...candidate, objectId };
    });
  }

  /** Candidates that can be asked and have not been, in the order in which they are to be asked. */
  unknown(candidates: readonly PodCandidate[], nowMs: number): readonly PodCandidate[] {
    return candidates.filter(
      ({ objectId, identity, attachment }) =>
        objectId === undefined &&
        attachment.kind === "attached" &&
        !this.#ids.has(identity) &&
        (this.#none.get(identity) ?? -Infinity) <= nowMs,
    );
  }

  /** @returns a result that says nothing about the identity, because the source could not be asked */
  learn(asked: readonly BrokerRequest[], results: readonly BrokerResult[], nowMs: number): BrokerResult | undefined {
    let failed: BrokerResult | undefined;
    asked.forEach(({ identity }, index) => {
      const result = results[index];
      if (result === undefined || result.kind === "unavailable" || result.kind === "overloaded") {
        failed = result;
        return;
      }
      const objectId = result.kind === "token" ? jwtClaim(result.answer.accessToken, "oid") : undefined;
      if (objectId === undefined) this.#none.set(identity, nowMs + NONE_FOR_MS);
      else this.#ids.set(identity, objectId);
    });
    return failed;
  }
}
