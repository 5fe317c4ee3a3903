import { IDENTITY_TYPE, parseIdentityResourceId } from "@podid/crd-types";
import type { KubeObject } from "@podid/kube";
import { identityRecord } from "@podid/matcher";
import type { Denial, IdentityRecord } from "@podid/matcher";

/** Any that can be read: what else is wrong with an identity shows only then. */
const ANY = "/subscriptions/0/resourceGroups/any/providers/Microsoft.ManagedIdentity/userAssignedIdentities/any";

/**
 * An AzureIdentity as NMI judges it. MIC can attach nothing without a resource id, and so for MIC such an identity is none; who
 * has it attached by other means can be given its tokens all the same, by its client id.
 */
export function nodeIdentityRecord(object: KubeObject): IdentityRecord | undefined {
  const record = identityRecord(object);
  if (record?.problem === undefined || !isByClientId(record)) return record;
  const spec = { ...(object["spec"] as object), resourceID: ANY };
  return { ...record, problem: identityRecord({ ...object, spec })?.problem };
}

/** Of type 0, with a client id and nothing in the place of a resource id. */
export function isByClientId({ spec }: IdentityRecord): boolean {
  const isManaged = (spec.type ?? IDENTITY_TYPE.userAssigned) === IDENTITY_TYPE.userAssigned;
  return isManaged && !spec.resourceID?.trim() && Boolean(spec.clientID?.trim());
}

/** Why nobody needs to wait for MIC to attach it. */
export function neverAttached({ namespace, name, spec }: IdentityRecord): Denial {
  const resourceId = parseIdentityResourceId(spec.resourceID ?? "");
  const why = resourceId.ok ? "" : (resourceId.errors[0]?.message ?? "");
  return { reason: "identity-invalid", message: `ignoring azure identity ${namespace}/${name}, error: ${why}` };
}
