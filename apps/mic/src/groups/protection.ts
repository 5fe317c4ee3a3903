import type { AttachedIdentity } from "@podid/azure-assigner";
import type { IdentityRecord } from "@podid/matcher";

/** Identities that are never detached, whoever attached them. */
export class Protection {
  readonly #clientIds: ReadonlySet<string>;
  readonly #identities: () => Iterable<IdentityRecord>;

  /**
   * @param clientIds immutable and cluster identities, in any casing
   * @param identities the AzureIdentities of the cluster: some say `podid.dev/keep`, and they know the client id of what ARM shows without one
   */
  constructor(clientIds: Iterable<string>, identities: () => Iterable<IdentityRecord>) {
    this.#clientIds = new Set([...clientIds].map((id) => id.trim().toLowerCase()).filter((id) => id !== ""));
    this.#identities = identities;
  }

  isProtected({ key, clientId }: AttachedIdentity): boolean {
    const clientIds = clientId === undefined ? [] : [clientId.toLowerCase()];
    for (const identity of this.#identities()) {
      if (identity.resourceKey !== key) continue;
      if (identity.keep) return true;
      if (identity.spec.clientID !== undefined) clientIds.push(identity.spec.clientID.toLowerCase());
    }
    // Nobody knows who it is: keeping one too many is the smaller harm.
    if (clientIds.length === 0) return this.#clientIds.size > 0;
    return clientIds.some((id) => this.#clientIds.has(id));
  }
}
