import type { AttachedIdentity } from "@podid/azure-assigner";
import { identityIdKey } from "@podid/crd-types";
import type { IdentityRecord } from "@podid/matcher";

/**
 * Identities of the cluster itself and of others that work on its machines. Whoever attached them, they are never detached,
 * and NMI refuses them to pods.
 */
export class Protection {
  /** Client ids and ARM ids, lower-cased. */
  readonly #ids: ReadonlySet<string>;
  /** Client ids of those given by ARM id, by that id, as ARM shows them. */
  readonly #clientIds = new Map<string, string>();
  readonly #identitiesOf: (resourceKey: string) => Iterable<IdentityRecord>;

  /**
   * @param ids client ids or ARM ids, in any casing
   * @param identitiesOf the AzureIdentities that stand for a resource: some say `podid.dev/keep`, and they know the client id of
   * what ARM shows without one
   */
  constructor(ids: Iterable<string>, identitiesOf: (resourceKey: string) => Iterable<IdentityRecord>) {
    this.#ids = new Set([...ids].map(identityIdKey).filter((id) => id !== ""));
    this.#identitiesOf = identitiesOf;
  }

  isProtected({ key, clientId }: AttachedIdentity): boolean {
    if (this.#ids.has(key)) return true;
    const clientIds = clientId === undefined ? [] : [clientId.toLowerCase()];
    for (const identity of this.#identitiesOf(key)) {
      if (identity.keep) return true;
      if (identity.spec.clientID) clientIds.push(identity.spec.clientID.toLowerCase());
    }
    // Nobody knows who it is: keeping one too many is the smaller harm.
    if (clientIds.length === 0) return this.#ids.size > 0;
    return clientIds.some((id) => this.#has(id));
  }

  /** The id by which an AzureIdentity names one of these. */
  named({ spec, resourceKey }: Pick<IdentityRecord, "spec" | "resourceKey">): string | undefined {
    if (resourceKey !== undefined && this.#ids.has(resourceKey)) return resourceKey;
    const clientId = spec.clientID?.trim().toLowerCase() ?? "";
    return clientId !== "" && this.#has(clientId) ? clientId : undefined;
  }

  /** Learns from what a machine holds under which client id those answer that were given by ARM id. @returns whether that was news */
  saw(attached: ReadonlyMap<string, AttachedIdentity>): boolean {
    let news = false;
    for (const id of this.#ids) {
      const clientId = attached.get(id)?.clientId?.toLowerCase();
      if (clientId === undefined || this.#clientIds.get(id) === clientId) continue;
      this.#clientIds.set(id, clientId);
      news = true;
    }
    return news;
  }

  /** Every id that was given; with the client id that it answers to where that was learned. */
  get ids(): ReadonlyMap<string, string | undefined> {
    return new Map([...this.#ids].map((id) => [id, this.#clientIds.get(id)]));
  }

  #has(clientId: string): boolean {
    if (this.#ids.has(clientId)) return true;
    for (const learned of this.#clientIds.values()) if (learned === clientId) return true;
    return false;
  }
}
