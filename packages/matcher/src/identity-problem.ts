import { IDENTITY_TYPE, parseIdentityResourceId } from "@podid/crd-types";
import type { AzureIdentitySpec } from "@podid/crd-types";
import type { JsonObject } from "./json.ts";

/**
 * Why an identity cannot be used at all. As in aad-pod-identity, service principals (types 1 and 2) are not judged here: what they
 * lack shows when a token is asked for, and may be created until then.
 *
 * @param written the spec as it was stored
 * @param spec the fields of it that have the right type
 */
export function identityProblem(written: JsonObject, spec: AzureIdentitySpec): string | undefined {
  const type = written["type"] ?? IDENTITY_TYPE.userAssigned;
  switch (type) {
    case IDENTITY_TYPE.userAssigned: {
      const resourceId = parseIdentityResourceId(spec.resourceID ?? "");
      return resourceId.ok
        ? narrowedToNothing(written["serviceAccounts"], spec.serviceAccounts)
        : resourceId.errors[0]?.message;
    }
    case IDENTITY_TYPE.clientSecret:
    case IDENTITY_TYPE.certificate:
      return narrowedToNothing(written["serviceAccounts"], spec.serviceAccounts);
    case IDENTITY_TYPE.federated:
      if (!spec.tenantID) return "spec.tenantID is missing: an identity of type 3 needs the tenant of its application";
      if (!spec.clientID)
        return "spec.clientID is missing: an identity of type 3 needs the client id of its application";
      return narrowedToNothing(written["serviceAccounts"], spec.serviceAccounts);
    default:
      return `unsupported identity type ${JSON.stringify(type)}: spec.type must be 0, 1, 2 or 3`;
  }
}

/** Entries that are no text are dropped when a spec is read; a list of nothing else would then mean "any", which nobody wrote. */
function narrowedToNothing(written: unknown, read: readonly string[] | undefined): string | undefined {
  if (written === undefined || written === null) return undefined;
  if (Array.isArray(written) && written.length === read?.length) return undefined;
  return `spec.serviceAccounts is ${JSON.stringify(written)}: it must be a list of names of ServiceAccounts`;
}
