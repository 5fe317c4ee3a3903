import { isDeepStrictEqual } from "node:util";
import type { Json } from "./json.ts";
import { isObject } from "./json.ts";

/**
 * Lists that merge item by item, and the field that tells items apart (`patchMergeKey` in k8s.io/api).
 * Every other list is replaced as a whole. Keyed by field name, which is unambiguous for the kinds served here but for `ports`.
 */
const MERGE_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ["name"],
  initContainers: ["name"],
  ephemeralContainers: ["name"],
  volumes: ["name"],
  env: ["name"],
  ports: ["containerPort", "port"],
  volumeMounts: ["mountPath"],
  volumeDevices: ["devicePath"],
  imagePullSecrets: ["name"],
  hostAliases: ["ip"],
  topologySpreadConstraints: ["topologyKey"],
  resourceClaims: ["name"],
  conditions: ["type"],
  addresses: ["type"],
  podIPs: ["ip"],
  hostIPs: ["ip"],
  ownerReferences: ["uid"],
  secrets: ["name"],
};

/** Lists of plain values that merge as sets. */
const SETS = new Set(["finalizers", "podCIDRs"]);

/** Applies a strategic merge patch; `$patch`, `$deleteFromPrimitiveList`, `$setElementOrder` and `$retainKeys` are understood. */
export function strategicPatch(target: unknown, patch: Json): unknown {
  const base = isObject(target) ? target : {};
  if (patch.$patch === "replace") return withoutDirectives(patch);
  if (patch.$patch === "delete") return {};
  const result: Json = { ...base };
  const retained = patch.$retainKeys;
  if (Array.isArray(retained))
    for (const field of Object.keys(result)) if (!retained.includes(field)) delete result[field];
  for (const [field, value] of Object.entries(patch)) {
    const [directive, name] = field.startsWith("$") ? field.split("/", 2) : [undefined, field];
    if (directive !== undefined) {
      if (
        directive === "$deleteFromPrimitiveList" &&
        name !== undefined &&
        Array.isArray(value) &&
        Array.isArray(result[name])
      ) {
        result[name] = (result[name] as unknown[]).filter((item) => !value.includes(item));
      }
      continue;
    }
    const present = Object.hasOwn(base, field) ? result[field] : undefined;
    if (value === null) delete result[field];
    else if (Array.isArray(value)) result[field] = mergeLists(field, present, value);
    else result[field] = isObject(value) ? strategicPatch(present, value) : value;
  }
  for (const [field, order] of Object.entries(patch)) {
    if (!field.startsWith("$setElementOrder/") || !Array.isArray(order)) continue;
    const name = field.slice("$setElementOrder/".length);
    if (Array.isArray(result[name])) result[name] = inOrder(name, result[name], order);
  }
  return result;
}

function mergeLists(field: string, present: unknown, patch: readonly unknown[]): unknown[] {
  const base: unknown[] = Array.isArray(present) ? present : [];
  if (patch.some((item) => isObject(item) && item.$patch === "replace")) {
    return patch.filter((item) => !(isObject(item) && item.$patch === "replace")).map(withoutDirectives);
  }
  if (SETS.has(field)) return [...base, ...patch.filter((item) => !base.includes(item))];
  const keys = MERGE_KEYS[field];
  if (keys === undefined) return patch.map(withoutDirectives);
  const result = [...base];
  for (const item of patch) {
    const index = result.findIndex((other) => sameItem(keys, other, item));
    if (isObject(item) && item.$patch === "delete") {
      if (index >= 0) result.splice(index, 1);
    } else if (index < 0) result.push(withoutDirectives(item));
    else result[index] = isObject(item) ? strategicPatch(result[index], item) : item;
  }
  return result;
}

function sameItem(keys: readonly string[], a: unknown, b: unknown): boolean {
  if (!isObject(a) || !isObject(b)) return isDeepStrictEqual(a, b);
  return keys.some((key) => a[key] !== undefined && a[key] === b[key]);
}

/** Items named by the directive in its order; those that it does not name keep their place relative to each other, behind. */
function inOrder(field: string, items: readonly unknown[], order: readonly unknown[]): unknown[] {
  const keys = MERGE_KEYS[field] ?? [];
  const rank = (item: unknown): number => {
    const found = order.findIndex((wanted) => sameItem(keys, item, wanted));
    return found < 0 ? order.length : found;
  };
  return items.toSorted((a, b) => rank(a) - rank(b));
}

function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([field, item]) => !field.startsWith("$") && item !== null);
  return Object.fromEntries(kept.map(([field, item]) => [field, withoutDirectives(item)]));
}
