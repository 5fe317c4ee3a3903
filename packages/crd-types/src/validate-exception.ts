import { isJsonObject } from "./json.ts";
import { isLabelValue, isObjectName, validateObject } from "./object-checks.ts";
import type { Check } from "./object-checks.ts";
import { fieldError } from "./result.ts";
import type { Result } from "./result.ts";
import type { AzurePodIdentityException } from "./types.ts";

/** Everything that would keep an AzurePodIdentityException from ever meeting a pod. Every error is reported at once. */
export function validateException(object: unknown): Result<AzurePodIdentityException> {
  return validateObject("AzurePodIdentityException", object, [podLabels]);
}

const KEY_NAME = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

const podLabels: Check = ({ spec }) => {
  const labels = isJsonObject(spec["podLabels"]) ? spec["podLabels"] : {};
  const entries = Object.entries(labels);
  if (entries.length === 0) {
    return [fieldError("spec.podLabels", spec["podLabels"], "must have a label, or the exception means no pod")];
  }
  return entries
    .filter(([key, value]) => !isLabelKey(key) || !(value === "" || isLabelValue(String(value))))
    .map(([key, value]) => fieldError(`spec.podLabels[${key}]`, value, "must be a label that a pod can carry"));
};

/** A label's key: a name, or a DNS subdomain, a slash and a name. */
function isLabelKey(key: string): boolean {
  const [name = "", prefix, ...more] = key.split("/").toReversed();
  return KEY_NAME.test(name) && (prefix === undefined || isObjectName(prefix)) && more.length === 0;
}
