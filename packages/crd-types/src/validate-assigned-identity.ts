import { ASSIGNED_IDENTITY_STATUSES } from "./constants.ts";
import { isJsonObject } from "./json.ts";
import { isObjectName, validateObject } from "./object-checks.ts";
import type { Check } from "./object-checks.ts";
import { fieldError } from "./result.ts";
import type { Result } from "./result.ts";
import type { AzureAssignedIdentity } from "./types.ts";

/** Whether an AzureAssignedIdentity says all that NMI needs to know. Every error is reported at once. */
export function validateAssignedIdentity(object: unknown): Result<AzureAssignedIdentity> {
  return validateObject("AzureAssignedIdentity", object, [names, references, status]);
}

const NAMED = { pod: "a pod", podNamespace: "the pod's namespace", nodename: "the pod's node" } as const;

const names: Check = ({ spec }) =>
  Object.entries(NAMED)
    .filter(([field]) => !isObjectName(spec[field]))
    .map(([field, what]) => fieldError(`spec.${field}`, spec[field], `must be the name of ${what}`));

const REFERENCES = { azureIdentityRef: "AzureIdentity", azureBindingRef: "AzureIdentityBinding" } as const;

const references: Check = ({ spec }) =>
  Object.entries(REFERENCES)
    .filter(([field]) => {
      const metadata = isJsonObject(spec[field]) ? spec[field]["metadata"] : undefined;
      return !isJsonObject(metadata) || !isObjectName(metadata["name"]);
    })
    .map(([field, kind]) => fieldError(`spec.${field}`, spec[field], `must hold the ${kind} with its name`));

const status: Check = ({ status: { status: value } }) => {
  const statuses: readonly unknown[] = ASSIGNED_IDENTITY_STATUSES;
  if (value === undefined || statuses.includes(value)) return [];
  return [fieldError("status.status", value, "must be Created, Assigned, Unassigned or empty")];
};
