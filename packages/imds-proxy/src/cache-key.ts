import type { IdentityRecord } from "@podid/matcher";
import type { SourceRequest, TokenSource } from "./token-source.ts";

interface IdentityKeys {
  readonly prefix: string;
  /**
   * Whole keys by resource, where there is nothing else in them: the very same text every time, so that it is put
   * together and hashed once and not for each cached answer.
   */
  readonly byResource: Map<string, string>;
}

const MOST_RESOURCES = 64;
/** The identity's share of a key is the same for all requests; records are immutable. */
const identityKeys = new WeakMap<IdentityRecord, IdentityKeys>();

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
  const { identity, resource, capabilities = "" } = request;
  let known = identityKeys.get(identity);
  if (known === undefined) {
    const { uid, namespace, name, fingerprint, resourceKey } = identity;
    const prefix = JSON.stringify([uid, namespace, name, fingerprint, resourceKey ?? null]);
    known = { prefix, byResource: new Map() };
    identityKeys.set(identity, known);
  }
  if (capabilities !== "" || inputs !== "") return wholeKey(known, capabilities, resource, inputs);
  let key = known.byResource.get(resource);
  if (key === undefined) {
    key = wholeKey(known, "", resource, "");
    if (known.byResource.size >= MOST_RESOURCES) known.byResource.clear();
    known.byResource.set(resource, key);
  }
  return key;
}

function wholeKey({ prefix }: IdentityKeys, capabilities: string, resource: string, inputs: string): string {
  return `${prefix}\n${capabilities}\n${resource}\n${inputs}`;
}
