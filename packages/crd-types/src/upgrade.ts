import { API_VERSION } from "./constants.ts";
import { isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { Kind } from "./kind.ts";
import { SPEC_FIELDS } from "./legacy-fields.ts";

export interface Upgrade {
  /** A new object when something changed, else the one that was given. */
  readonly object: JsonObject;
  readonly changed: boolean;
}

const STATUS_FIELDS = ["status", "availableReplicas", "metadata"] as const;
const SECRET_FIELDS = ["name", "namespace"] as const;

/**
 * Rewrites an object whose fields are spelled as before aad-pod-identity 1.6 (any casing was accepted then) to the present
 * spelling. Where an object holds both, the present spelling wins and the other goes. Values, unknown fields and user's maps such
 * as `podLabels` stay as they are; in an assigned identity both embedded copies are treated alike. The argument is not modified.
 */
export function upgradeLegacyObject(kind: Kind, object: JsonObject): Upgrade {
  const spec = isJsonObject(object["spec"]) ? upgradeSpec(kind, object["spec"]) : object["spec"];
  const status = isJsonObject(object["status"]) ? respelled(object["status"], STATUS_FIELDS) : object["status"];
  if (spec === object["spec"] && status === object["status"]) return { object, changed: false };
  return { object: { ...object, spec, ...(status === undefined ? {} : { status }) }, changed: true };
}

function upgradeSpec(kind: Kind, given: JsonObject): JsonObject {
  const spec = respelled(given, SPEC_FIELDS[kind]);
  switch (kind) {
    case "AzureIdentity":
      return withField(spec, "clientPassword", (secret) => respelled(secret, SECRET_FIELDS));
    case "AzureAssignedIdentity": {
      const identity = withField(spec, "azureIdentityRef", (ref) => upgradeReference("AzureIdentity", ref));
      return withField(identity, "azureBindingRef", (ref) => upgradeReference("AzureIdentityBinding", ref));
    }
    case "AzureIdentityBinding":
    case "AzurePodIdentityException":
      return spec;
  }
}

/** Upstream's own upgrade left `kind: AzureIdentityList` in embedded copies, which the API server would refuse to store again as this kind. */
function upgradeReference(kind: "AzureIdentity" | "AzureIdentityBinding", reference: JsonObject): JsonObject {
  const { object } = upgradeLegacyObject(kind, reference);
  const named = object["kind"] === kind && object["apiVersion"] === API_VERSION;
  // A reference to nothing ({}) stays one: giving it a kind would make it look like an identity.
  if (named || Object.keys(object).length === 0) return object;
  return { ...object, apiVersion: API_VERSION, kind };
}

function withField(object: JsonObject, field: string, change: (value: JsonObject) => JsonObject): JsonObject {
  const before = object[field];
  if (!isJsonObject(before)) return object;
  const after = change(before);
  return after === before ? object : { ...object, [field]: after };
}

/** The object with its keys spelled like `fields`; itself when they are already. */
function respelled(object: JsonObject, fields: readonly string[]): JsonObject {
  const keys = Object.keys(object);
  // Nearly always; a controller that starts asks this a million times.
  if (keys.every((key) => fields.includes(key))) return object;
  const bySpelling = new Map(fields.map((field) => [field.toLowerCase(), field]));
  const present = (key: string): string => bySpelling.get(key.toLowerCase()) ?? key;
  if (keys.every((key) => present(key) === key)) return object;
  const result = new Map<string, unknown>();
  // Sorted, so that of two legacy spellings the same one wins whatever order the object came in.
  for (const key of keys.toSorted()) {
    const field = present(key);
    if (field === key || !(Object.hasOwn(object, field) || result.has(field))) result.set(field, object[key]);
  }
  return Object.fromEntries(result);
}
