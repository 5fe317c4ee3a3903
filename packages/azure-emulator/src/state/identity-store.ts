import { randomUUID } from "node:crypto";
import type { Directory, FederatedCredential, Principal } from "./directory.ts";
import { identityResourceId, parseIdentityId } from "./resource-id.ts";

export interface UserAssignedIdentity {
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly principal: Principal;
  location: string;
  tags: Readonly<Record<string, string>>;
  readonly federatedCredentials: Map<string, FederatedCredential>;
}

/** What {@link IdentityStore.add} needs; everything but the id is made up when absent. */
export interface IdentityInit {
  readonly id: string;
  readonly clientId?: string;
  readonly principalId?: string;
  readonly tenantId: string;
  readonly location: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly federatedCredentials?: readonly FederatedCredential[];
}

/** User-assigned identities by ARM id. Deleting and adding the same id again makes a different principal, as in Azure. */
export class IdentityStore {
  readonly #directory: Directory;
  readonly #identities = new Map<string, UserAssignedIdentity>();

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  /** @throws Error when `init.id` is not the ARM id of a user-assigned identity. */
  add(init: IdentityInit): UserAssignedIdentity {
    const parsed = parseIdentityId(init.id);
    if (parsed === undefined)
      throw new Error(
        `userAssignedIdentities: id "${init.id}" must be /subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME`,
      );
    this.delete(parsed.key);
    const id = identityResourceId(parsed.subscriptionId, parsed.resourceGroup, parsed.name);
    const principal: Principal = {
      kind: "userAssigned",
      objectId: init.principalId ?? randomUUID(),
      clientId: init.clientId ?? randomUUID(),
      tenantId: init.tenantId,
      displayName: parsed.name,
      resourceId: id,
    };
    const identity: UserAssignedIdentity = {
      id,
      key: parsed.key,
      name: parsed.name,
      subscriptionId: parsed.subscriptionId,
      resourceGroup: parsed.resourceGroup,
      principal,
      location: init.location,
      tags: init.tags ?? {},
      federatedCredentials: new Map(
        (init.federatedCredentials ?? []).map((credential) => [credential.name.toLowerCase(), credential]),
      ),
    };
    this.#identities.set(parsed.key, identity);
    this.#directory.addPrincipal(principal);
    return identity;
  }

  /** `key` is the lower-cased ARM id. */
  get(key: string): UserAssignedIdentity | undefined {
    return this.#identities.get(key);
  }

  byClientId(clientId: string): UserAssignedIdentity | undefined {
    return this.list().find((identity) => identity.principal.clientId.toLowerCase() === clientId.toLowerCase());
  }

  delete(key: string): UserAssignedIdentity | undefined {
    const identity = this.#identities.get(key);
    if (identity === undefined) return undefined;
    this.#identities.delete(key);
    this.#directory.removePrincipal(identity.principal.objectId);
    return identity;
  }

  list(): readonly UserAssignedIdentity[] {
    return [...this.#identities.values()];
  }
}
