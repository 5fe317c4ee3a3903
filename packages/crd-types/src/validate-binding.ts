import { BINDING_LABEL } from "./constants.ts";
import { isLabelValue, isObjectName, validateObject } from "./object-checks.ts";
import type { Check } from "./object-checks.ts";
import { fieldError } from "./result.ts";
import type { Result } from "./result.ts";
import type { AzureIdentityBinding } from "./types.ts";

/** Everything that would keep an AzureIdentityBinding from ever selecting a pod. Every error is reported at once. */
export function validateBinding(object: unknown): Result<AzureIdentityBinding> {
  return validateObject("AzureIdentityBinding", object, [identity, selector]);
}

const identity: Check = ({ spec }) => {
  const { azureIdentity } = spec;
  if (isObjectName(azureIdentity)) return [];
  return [fieldError("spec.azureIdentity", azureIdentity, "must name an AzureIdentity of the binding's namespace")];
};

const selector: Check = ({ spec }) => {
  const value = spec["selector"];
  if (typeof value === "string" && isLabelValue(value)) return [];
  const fix = `must be what pods carry in their label ${BINDING_LABEL}: at most 63 letters, digits, '-', '_' and '.'`;
  return [fieldError("spec.selector", value, fix)];
};
