import { isObject } from "./json.ts";
import type { Json } from "./json.ts";

/** RFC 7386: null removes, objects merge, anything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Json = isObject(target) ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete result[field];
    else result[field] = mergePatch(Object.hasOwn(result, field) ? result[field] : undefined, value);
  }
  return result;
}
