import type { AzureState } from "../state/azure-state.ts";
import type { ComputeResource } from "../state/compute-resource.ts";
import type { Principal } from "../state/directory.ts";
import { armKey } from "../state/resource-id.ts";

export interface IdentityQuery {
  readonly clientId: string | undefined;
  readonly objectId: string | undefined;
  readonly resourceId: string | undefined;
}

export type IdentityChoice =
  | { readonly kind: "found"; readonly principal: Principal }
  | { readonly kind: "not-found" }
  | { readonly kind: "ambiguous" };

/**
 * Which identity of the machine a request means. Without an id: the system-assigned one, else the only user-assigned one.
 * An entry whose identity was deleted, or re-created under the same name, does not count.
 */
export function chooseIdentity(state: AzureState, resource: ComputeResource, query: IdentityQuery): IdentityChoice {
  const { system, userAssigned } = resource.imdsIdentity(state.clock.now());
  const living = [...userAssigned.values()].flatMap((entry) => {
    const principal = state.identities.get(entry.key)?.principal;
    return principal?.objectId === entry.objectId ? [{ key: entry.key, principal }] : [];
  });
  const all = [...(system === undefined ? [] : [{ key: resource.key, principal: system }]), ...living];
  const { clientId, objectId, resourceId } = query;
  if (clientId !== undefined) return found(all.find(({ principal }) => same(principal.clientId, clientId)));
  if (objectId !== undefined) return found(all.find(({ principal }) => same(principal.objectId, objectId)));
  if (resourceId !== undefined) return found(living.find(({ key }) => key === armKey(resourceId)));
  if (system !== undefined) return { kind: "found", principal: system };
  return living.length > 1 ? { kind: "ambiguous" } : found(living[0]);
}

function found(match: { readonly principal: Principal } | undefined): IdentityChoice {
  return match === undefined ? { kind: "not-found" } : { kind: "found", principal: match.principal };
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
