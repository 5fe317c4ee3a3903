import type { IdentityRecord } from "@podid/matcher";
import type { SourceRequest, TokenSource } from "./token-source.ts";

/** The identity's share of a key is the same for all requests; records are immutable. */
const identityKeys = new WeakMap<IdentityRecord, string>();

/**
 * Every input that could change the answer: an edited or re-created identity (type, tenant, authority, client id and
 * resource id are in its fingerprint), another resource string or capability is another token. What the pod is, is
 * part of it only where the source says so: authorisation happens before, on every request.
 *
 * @returns undefined while the source does not know its share
 */
export function cacheKey(source: TokenSource, request: SourceRequest): string | undefined {
  const inputs = source.inputs === undefined ? "" : source.inputs(request);
  if (inputs === undefined) return undefined;
  let identityKey = identityKeys.get(request.identity);
  if (identityKey === undefined) {
    const { uid, namespace, name, fingerprint, resourceKey } = request.identity;
    identityKey = JSON.stringify([uid, namespace, name, fingerprint, resourceKey ?? null]);
    identityKeys.set(request.identity, identityKey);
  }
  return `${identityKey}\n${request.capabilities ?? ""}\n${request.resource}\n${inputs}`;
}
