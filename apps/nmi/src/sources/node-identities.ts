import { parseIdentityResourceId } from "@podid/crd-types";
import type { Limiter, Refused, SourceOutcome, SourceRequest, TokenSource } from "@podid/imds-proxy";
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
  readonly #ids: ReadonlySet<string>;
  /** By namespace. */
  readonly #allowed = new Map<string, Set<string>>();

  constructor({ identities, allowed }: NodeIdentitiesOptions) {
    this.#ids = new Set(identities.map(canonical).filter((id) => id !== ""));
    for (const entry of allowed) {
      const slash = entry.indexOf("/");
      const namespace = entry.slice(0, slash).trim();
      const ids = this.#allowed.get(namespace) ?? new Set<string>();
      this.#allowed.set(namespace, ids.add(canonical(entry.slice(slash + 1))));
    }
  }

  get empty(): boolean {
    return this.#ids.size === 0;
  }

  /** Stands for all that pods of a namespace may have of these; namespaces with the same text may share tokens. */
  allowance(namespace: string): string {
    return [...(this.#allowed.get(namespace) ?? [])].sort().join(" ");
  }

  /** @returns why a pod of that namespace may not be this identity */
  refusal({ pod, identity }: SourceRequest, id: string | undefined): Refused | undefined {
    const key = canonical(id ?? "");
    if (key === "" || !this.#ids.has(key)) return undefined;
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
  if (nodes.empty) return source;
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
      return outcome.kind === "token" ? (nodes.refusal(request, outcome.answer.clientId) ?? outcome) : outcome;
    },
    forgetPod: (podUid) => source.forgetPod?.(podUid),
  };
}

/** Lower-cased, and an ARM id in its one spelling. */
function canonical(id: string): string {
  const parsed = parseIdentityResourceId(id.trim());
  return parsed.ok ? parsed.value.key : id.trim().toLowerCase();
}
