/** ARM compares ids without regard to case; this is the form to use as a map's key. */
export function armKey(id: string): string {
  const key = id.trim().toLowerCase();
  return key.endsWith("/") ? key.slice(0, -1) : key;
}

/** A resource inside a resource group. `type` is as written, children joined: `virtualMachineScaleSets/virtualMachines`. */
export interface ArmResourceId {
  readonly id: string;
  readonly key: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly namespace: string;
  readonly type: string;
  readonly names: readonly string[];
}

const SHAPE = /^\/subscriptions\/([^/]+)\/resourcegroups\/([^/]+)\/providers\/([^/]+)\/(.+)$/i;

/** undefined when `id` names no resource of a resource group. A leading `azure://`, as in a node's providerID, is ignored. */
export function parseResourceId(text: string): ArmResourceId | undefined {
  const id = text.trim().replace(/^azure:\/\//i, "");
  const [, subscriptionId, resourceGroup, namespace, rest] = SHAPE.exec(id) ?? [];
  if (subscriptionId === undefined || resourceGroup === undefined || namespace === undefined) return undefined;
  const segments = (rest ?? "").split("/");
  if (segments.length % 2 !== 0 || segments.includes("")) return undefined;
  return {
    id,
    key: armKey(id),
    subscriptionId,
    resourceGroup,
    namespace,
    type: segments.filter((_, index) => index % 2 === 0).join("/"),
    names: segments.filter((_, index) => index % 2 === 1),
  };
}

const IDENTITY_TYPE = "microsoft.managedidentity/userassignedidentities";

/** undefined when `text` is not the id of a user-assigned identity. */
export function parseIdentityId(text: string): (ArmResourceId & { readonly name: string }) | undefined {
  const id = parseResourceId(text);
  const name = id?.names[0];
  if (id === undefined || name === undefined) return undefined;
  return `${id.namespace}/${id.type}`.toLowerCase() === IDENTITY_TYPE ? { ...id, name } : undefined;
}

/** Azure writes identities' own ids with a lower-case `resourcegroups`, in ARM and in the `xms_mirid` claim. */
export function identityResourceId(subscriptionId: string, resourceGroup: string, name: string): string {
  return `/subscriptions/${subscriptionId}/resourcegroups/${resourceGroup}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

export function resourceGroupId(subscriptionId: string, resourceGroup: string): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`;
}
