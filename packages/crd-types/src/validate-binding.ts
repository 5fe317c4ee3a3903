import { BINDING_LABEL, PRE_ASSIGN_ANNOTATION } from "./constants.ts";
import { isJsonObject } from "./json.ts";
import { isLabelValue, isObjectName, validateObject } from "./object-checks.ts";
import type { Check } from "./object-checks.ts";
import { preAssignedPools } from "./pre-assigned-pools.ts";
import { fieldError } from "./result.ts";
import type { Result } from "./result.ts";
import type { AzureIdentityBinding } from "./types.ts";

/** Everything that would keep an AzureIdentityBinding from ever selecting a pod. Every error is reported at once. */
export function validateBinding(object: unknown): Result<AzureIdentityBinding> {
  return validateObject("AzureIdentityBinding", object, [identity, selector, preAssign]);
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

const preAssign: Check = ({ metadata }) => {
  const annotations = isJsonObject(metadata["annotations"]) ? metadata["annotations"] : {};
  const value = annotations[PRE_ASSIGN_ANNOTATION];
  if (value === undefined) return [];
  const pools = preAssignedPools(annotations);
  if (pools.length > 0 && pools.every((pool) => pool === "*" || isLabelValue(pool))) return [];
  const fix = "must be names of node pools, separated by commas, or * for every node";
  return [fieldError(`metadata.annotations[${PRE_ASSIGN_ANNOTATION}]`, value, fix)];
};
