import { identityIdKey } from "@podid/crd-types";
import { jwtClaim } from "@podid/imds-proxy";
import type { Limiter, Refused, SourceOutcome, SourceRequest, TokenSource } from "@podid/imds-proxy";
import { isByClientId } from "../by-client-id.ts";
import { nameOf } from "./identity-secret.ts";

/** The identities of the cluster itself, and who may have them all the same. */
export interface NodeIdentitiesOptions {
  /** Client ids or ARM ids. */
  readonly identities: readonly string[];
  /** `NAMESPACE/ID`, with an id as above, or `*` for all of them. */
  readonly allowed: readonly string[];
}

/**
 * Identities that the cluster, kubelet or others on the node work with. Whoever may create an AzureIdentity can name
 * any that is attached to the node, so these are refused to pods, except in the namespaces that an administrator lists.
 */
export class NodeIdentities {
  readonly #own: ReadonlySet<string>;
  /** What MIC says, beside what this process was started with. */
  #told: ReadonlySet<string> = new Set();
  #stamp = "";
  /** By namespace. */
  readonly #allowed = new Map<string, Set<string>>();

  constructor({ identities, allowed }: NodeIdentitiesOptions) {
    this.#own = new Set(identities.map(identityIdKey).filter((id) => id !== ""));
    for (const entry of allowed) {
      const slash = entry.indexOf("/");
      const namespace = entry.slice(0, slash).trim();
      const ids = this.#allowed.get(namespace) ?? new Set<string>();
      this.#allowed.set(namespace, ids.add(identityIdKey(entry.slice(slash + 1))));
    }
  }

  /** MIC's list, which replaces the one that it gave before. */
  told(ids: readonly string[]): void {
    this.#told = new Set(ids.map(identityIdKey).filter((id) => id !== ""));
    this.#stamp = [...this.#told].sort().join(" ");
  }

  /**
   * Stands for all that pods of a namespace may have; namespaces with the same text may share tokens. Another list of MIC's is
   * another text: what was given out by the former one must not come out of the cache.
   */
  allowance(namespace: string): string {
    const allowed = this.#allowed.get(namespace);
    return allowed === undefined ? this.#stamp : `${[...allowed].sort().join(" ")}\n${this.#stamp}`;
  }

  has(id: string | undefined): boolean {
    const key = identityIdKey(id ?? "");
    return key !== "" && (this.#own.has(key) || this.#told.has(key));
  }

  /** @returns why a pod of that namespace may not be this identity */
  refusal({ pod, identity }: SourceRequest, id: string | undefined): Refused | undefined {
    if (!this.has(id)) return undefined;
    const key = identityIdKey(id ?? "");
    const allowed = this.#allowed.get(pod.namespace);
    if (allowed?.has(key) || allowed?.has("*")) return undefined;
    const message =
      `${nameOf(identity)} is an identity of the cluster itself (cluster, kubelet or immutable: ${id}), which pods may not have; ` +
      `use one of its own, or start NMI with --allow-node-identities=${pod.namespace}/${id}`;
    return { kind: "refused", reason: "node-identity", message };
  }
}

/** A source that hands no identity of the cluster to pods: neither one that was asked for by name nor one that answers. */
export function withoutNodeIdentities(source: TokenSource, nodes: NodeIdentities): TokenSource {
  const named = (request: SourceRequest): Refused | undefined => {
    const { clientID } = request.identity.spec;
    return nodes.refusal(request, clientID) ?? nodes.refusal(request, request.identity.resourceKey);
  };
  const limiter: { limiter?: Limiter } = source.limiter === undefined ? {} : { limiter: source.limiter };
  return {
    ...limiter,
    // What one namespace may have must not come out of the cache for another.
    inputs: (request) => {
      const own = source.inputs === undefined ? "" : source.inputs(request);
      return own === undefined ? undefined : `${own}\n${nodes.allowance(request.pod.namespace)}`;
    },
    prepare: async (request) => named(request) ?? source.prepare?.(request),
    fetch: async (request): Promise<SourceOutcome> => {
      const refused = named(request);
      if (refused !== undefined) return refused;
      const outcome = await source.fetch(request);
      if (outcome.kind !== "token") return outcome;
      const { clientId, accessToken } = outcome.answer;
      // The list may know by its resource id alone who was asked for by client id.
      const other =
        isByClientId(request.identity) && !nodes.has(clientId) ? jwtClaim(accessToken, "xms_mirid") : undefined;
      return nodes.refusal(request, clientId) ?? nodes.refusal(request, other) ?? outcome;
    },
    forgetPod: (podUid) => source.forgetPod?.(podUid),
  };
}
