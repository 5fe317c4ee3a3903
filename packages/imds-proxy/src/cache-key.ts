import type { IdentityRecord } from "@podid/matcher";
import type { SourceRequest, TokenSource } from "./token-source.ts";

/** The identity's share of a key is the same for all requests; records are immutable. */
const identityKeys = new WeakMap<IdentityRecord, string>();

/**
 * Every input that could change the answer: an edited or re-created identity, another resource string or capability
 * is another token. What the pod is, is part of it only where the source says so: authorisation happens before, on
 * every request.
 */
export function cacheKey(source: TokenSource, request: SourceRequest): string {
  let identityKey = identityKeys.get(request.identity);
  if (identityKey === undefined) {
    const { uid, namespace, name, fingerprint, resourceKey } = request.identity;
    identityKey = JSON.stringify([uid, namespace, name, fingerprint, resourceKey ?? null]);
    identityKeys.set(request.identity, identityKey);
  }
  return `${identityKey}\n${request.capabilities ?? ""}\n${request.resource}\n${source.inputs?.(request) ?? ""}`;
}
