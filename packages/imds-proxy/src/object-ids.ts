import type { IdentityRecord } from "@podid/matcher";
import type { PodCandidate } from "./pod-directory.ts";
import { jwtClaim } from "./token-answer.ts";
import type { BrokerRequest, BrokerResult } from "./token-broker.ts";

/**
 * An AzureIdentity does not say which object id its managed identity has; its tokens do (`oid`). Learned the first
 * time a pod asks by object id, from tokens of identities that are that pod's own anyway.
 */
export class ObjectIds {
  /** null: looked, and found none. Keyed by record, so that an edited identity is looked at again. */
  readonly #ids = new WeakMap<IdentityRecord, string | null>();

  fill(candidates: readonly PodCandidate[]): readonly PodCandidate[] {
    return candidates.map((candidate) => {
      const objectId = candidate.objectId ?? this.#ids.get(candidate.identity) ?? undefined;
      return objectId === undefined ? candidate : { ...candidate, objectId };
    });
  }

  /** Candidates that can be asked and have not been, in the order in which they are to be asked. */
  unknown(candidates: readonly PodCandidate[]): readonly PodCandidate[] {
    return candidates.filter(
      ({ objectId, identity, attachment }) =>
        objectId === undefined && attachment.kind === "attached" && !this.#ids.has(identity),
    );
  }

  /** @returns a result that says nothing about the identity, because the source could not be asked */
  learn(asked: readonly BrokerRequest[], results: readonly BrokerResult[]): BrokerResult | undefined {
    let failed: BrokerResult | undefined;
    asked.forEach(({ identity }, index) => {
      const result = results[index];
      if (result === undefined || result.kind === "unavailable" || result.kind === "overloaded") failed = result;
      else this.#ids.set(identity, (result.kind === "token" && jwtClaim(result.answer.accessToken, "oid")) || null);
    });
    return failed;
  }
}
