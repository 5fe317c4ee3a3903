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
    else if (Array.isArray(value))
      result[field] = mergeLists(field, present, value, patch[`$setElementOrder/${field}`]);
    else result[field] = isObject(value) ? strategicPatch(present, value) : value;
  }
  for (const [field, order] of Object.entries(patch)) {
    const name = field.slice("$setElementOrder/".length);
    if (!field.startsWith("$setElementOrder/") || !Array.isArray(order) || Object.hasOwn(patch, name)) continue;
    if (Array.isArray(result[name])) result[name] = inOrder(name, result[name], order, result[name]);
  }
  return result;
}

function mergeLists(field: string, present: unknown, patch: readonly unknown[], order: unknown): unknown[] {
  const base: unknown[] = Array.isArray(present) ? present : [];
  if (patch.some((item) => isObject(item) && item.$patch === "replace")) {
    return patch.filter((item) => !(isObject(item) && item.$patch === "replace")).map(withoutDirectives);
  }
  const wanted: readonly unknown[] = Array.isArray(order) ? order : patch;
  if (SETS.has(field)) return inOrder(field, [...base, ...patch.filter((item) => !base.includes(item))], wanted, base);
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
  return inOrder(field, result, wanted, base);
}

function sameItem(keys: readonly string[], a: unknown, b: unknown): boolean {
  if (!isObject(a) || !isObject(b)) return isDeepStrictEqual(a, b);
  return keys.some((key) => a[key] !== undefined && a[key] === b[key]);
}

/**
 * Order after a merge: what the patch names keeps the patch's order, the rest keeps the server's, and between the two
 * an item of the rest goes first only where the server had both and had it first (`mergeSortedSlice` of apimachinery).
 */
function inOrder(
  field: string,
  items: readonly unknown[],
  order: readonly unknown[],
  server: readonly unknown[],
): unknown[] {
  const keys = MERGE_KEYS[field] ?? [];
  const index = (list: readonly unknown[], item: unknown): number =>
    list.findIndex((other) => sameItem(keys, item, other));
  const named = items.filter((item) => index(order, item) >= 0).toSorted((a, b) => index(order, a) - index(order, b));
  const rest = items.filter((item) => index(order, item) < 0);
  const result: unknown[] = [];
  while (named.length > 0 && rest.length > 0) {
    const left = index(server, rest[0]);
    const right = index(server, named[0]);
    result.push(left >= 0 && right >= 0 && left < right ? rest.shift() : named.shift());
  }
  return [...result, ...rest, ...named];
}

function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([field, item]) => !field.startsWith("$") && item !== null);
  return Object.fromEntries(kept.map(([field, item]) => [field, withoutDirectives(item)]));
}
