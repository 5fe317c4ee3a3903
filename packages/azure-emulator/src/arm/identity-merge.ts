import type { JsonObject, JsonValue } from "../json.ts";
import { isJsonObject, objectOf, textOf } from "../json.ts";
import { armKey, parseIdentityId } from "../state/resource-id.ts";
import type { ArmError } from "./errors.ts";
import {
  duplicateIdentity,
  identityIdsMissing,
  identityIdsNotAllowed,
  identityMapNotAllowed,
  identityTypeMissing,
  identityTypeUnknown,
  invalidIdentityValues,
  tooManyIdentities,
} from "./errors.ts";

/** Which identities a VM or scale set has. The map's key is the lower-cased ARM id, its value the id as written first. */
export interface IdentityModel {
  readonly system: boolean;
  readonly userAssigned: ReadonlyMap<string, string>;
}

export type IdentityMerge = { readonly next: IdentityModel; readonly error?: undefined } | { readonly error: ArmError };

const LIMIT = 150;

/**
 * What an `identity` in a request makes of the present one.
 * - absent: PATCH keeps it, PUT clears it
 * - `{}` (or the entry as read) adds or keeps, `null` removes; entries that are left out are kept by PATCH and removed by PUT
 * - a type without UserAssigned drops the user-assigned ones, a type without SystemAssigned the system-assigned one
 */
export function mergeIdentity(
  current: IdentityModel,
  input: JsonValue | undefined,
  method: "PUT" | "PATCH",
  resourceId: string,
): IdentityMerge {
  if (input === undefined) return { next: method === "PATCH" ? current : { system: false, userAssigned: new Map() } };
  if (input === null) return { next: { system: false, userAssigned: new Map() } };
  if (!isJsonObject(input) || input["type"] === undefined || input["type"] === null)
    return { error: identityTypeMissing() };
  const type = parseType(input["type"]);
  if (type === undefined) return { error: identityTypeUnknown(textOf(input["type"])) };

  const listed = Array.isArray(input["identityIds"]) ? input["identityIds"].map(String) : [];
  if (listed.length > 0 && !type.user) return { error: identityIdsNotAllowed(type.name) };
  // The map of 2017-12-01 was a plain list, which replaced what was there.
  const map: JsonObject =
    listed.length > 0 ? Object.fromEntries(listed.map((id) => [id, {}])) : objectOf(input["userAssignedIdentities"]);
  const problem = checkEntries(map, resourceId);
  if (problem !== undefined) return { error: problem };
  if (!type.user) {
    const next = { system: type.system, userAssigned: new Map<string, string>() };
    return Object.keys(map).length > 0 ? { error: identityMapNotAllowed() } : { next };
  }
  const userAssigned = new Map(method === "PATCH" && listed.length === 0 ? current.userAssigned : []);
  for (const [id, value] of Object.entries(map)) {
    const key = armKey(id);
    if (value === null) userAssigned.delete(key);
    else userAssigned.set(key, current.userAssigned.get(key) ?? id);
  }
  return userAssigned.size === 0
    ? { error: identityIdsMissing(type.name) }
    : { next: { system: type.system, userAssigned } };
}

/** As Azure writes it back. */
export function identityTypeName(model: IdentityModel): string {
  if (model.system) return model.userAssigned.size > 0 ? "SystemAssigned, UserAssigned" : "SystemAssigned";
  return model.userAssigned.size > 0 ? "UserAssigned" : "None";
}

function parseType(value: JsonValue | undefined): { name: string; system: boolean; user: boolean } | undefined {
  const parts = textOf(value)
    .split(",")
    .map((part) => part.trim().toLowerCase());
  const known = parts.every((part) => ["none", "systemassigned", "userassigned"].includes(part));
  if (!known || (parts.includes("none") && parts.length > 1)) return undefined;
  const system = parts.includes("systemassigned");
  const user = parts.includes("userassigned");
  const names = [...(system ? ["SystemAssigned"] : []), ...(user ? ["UserAssigned"] : [])];
  return { name: names.join(",") || "None", system, user };
}

function checkEntries(map: JsonObject, resourceId: string): ArmError | undefined {
  const seen = new Set<string>();
  const entries = Object.entries(map);
  if (entries.length > LIMIT) return tooManyIdentities(resourceId, entries.length);
  for (const [id, value] of entries) {
    if (parseIdentityId(id) === undefined || (value !== null && !isEntry(value))) return invalidIdentityValues(id);
    if (seen.has(armKey(id))) return duplicateIdentity(id);
    seen.add(armKey(id));
  }
  return undefined;
}

function isEntry(value: JsonValue | undefined): boolean {
  return isJsonObject(value) && Object.keys(value).every((name) => name === "clientId" || name === "principalId");
}
