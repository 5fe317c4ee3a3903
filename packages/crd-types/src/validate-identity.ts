import { BEHAVIOR_ANNOTATION, BEHAVIOR_NAMESPACED, IDENTITY_TYPE } from "./constants.ts";
import { parseIdentityResourceId } from "./identity-resource-id.ts";
import { isJsonObject } from "./json.ts";
import { isObjectName, validateObject } from "./object-checks.ts";
import type { Check } from "./object-checks.ts";
import { fieldError } from "./result.ts";
import type { FieldError, Result } from "./result.ts";
import type { AzureIdentity } from "./types.ts";

/**
 * Everything that would keep an AzureIdentity from working, and not only what the API server refuses: ids that cannot be read,
 * fields that the type needs, fields that are misspelled and would be dropped. Every error is reported at once.
 */
export function validateIdentity(object: unknown): Result<AzureIdentity> {
  return validateObject("AzureIdentity", object, [
    type,
    behavior,
    resourceId,
    clientId,
    tenants,
    secret,
    endpoint,
    accounts,
  ]);
}

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const DOMAIN = /^[a-z0-9-]+(\.[a-z0-9-]+)+$/i;
const MOST_AUXILIARY_TENANTS = 3;

const typeOf = (spec: Readonly<Record<string, unknown>>): unknown => spec["type"] ?? IDENTITY_TYPE.userAssigned;
const usesSecret = (spec: Readonly<Record<string, unknown>>): boolean =>
  typeOf(spec) === IDENTITY_TYPE.clientSecret || typeOf(spec) === IDENTITY_TYPE.certificate;

const type: Check = ({ spec }) => {
  const types: readonly unknown[] = Object.values(IDENTITY_TYPE);
  if (types.includes(typeOf(spec))) return [];
  const fix =
    "must be 0 (user-assigned managed identity), 1 (client secret), 2 (certificate) or 3 (federated credential)";
  return [fieldError("spec.type", spec["type"], fix)];
};

const behavior: Check = ({ metadata }) => {
  const annotations = isJsonObject(metadata["annotations"]) ? metadata["annotations"] : {};
  return Object.entries(annotations)
    .filter(([key]) => key.toLowerCase() === BEHAVIOR_ANNOTATION.toLowerCase())
    .filter(([key, value]) => key !== BEHAVIOR_ANNOTATION || value !== BEHAVIOR_NAMESPACED)
    .map(([key, value]) => {
      const fix = `has no effect unless it is written exactly ${BEHAVIOR_ANNOTATION}: ${BEHAVIOR_NAMESPACED}`;
      return fieldError(`metadata.annotations[${key}]`, value, fix);
    });
};

const resourceId: Check = ({ spec }) => {
  if (typeOf(spec) !== IDENTITY_TYPE.userAssigned) return [];
  const written = spec["resourceID"];
  const parsed = parseIdentityResourceId(typeof written === "string" ? written : "");
  if (parsed.ok) return [];
  return parsed.errors.map((error) => ({
    ...error,
    field: "spec.resourceID",
    value: written,
    message: `spec.resourceID: ${error.message}`,
  }));
};

const clientId: Check = ({ spec }) => {
  const id = spec["clientID"];
  const fix = "must be the client id of the identity, for instance 00000000-0000-0000-0000-000000000000";
  // A managed identity's client id can be looked up by its resource id; an application has nothing else to be known by.
  if (!id) return typeOf(spec) === IDENTITY_TYPE.userAssigned ? [] : [fieldError("spec.clientID", id, fix)];
  return typeof id === "string" && GUID.test(id) ? [] : [fieldError("spec.clientID", id, fix)];
};

const tenants: Check = ({ spec }) => {
  const errors: FieldError[] = [];
  const fix = "must be the id of a tenant, or one of its domains";
  const tenant = spec["tenantID"];
  const needed = typeOf(spec) !== IDENTITY_TYPE.userAssigned;
  if ((needed || tenant) && !isTenant(tenant)) errors.push(fieldError("spec.tenantID", tenant, fix));
  const auxiliary: readonly unknown[] = Array.isArray(spec["auxiliaryTenantIDs"]) ? spec["auxiliaryTenantIDs"] : [];
  auxiliary.forEach((entry, i) => {
    if (!isTenant(entry)) errors.push(fieldError(`spec.auxiliaryTenantIDs[${i}]`, entry, fix));
  });
  if (auxiliary.length > MOST_AUXILIARY_TENANTS) {
    errors.push(fieldError("spec.auxiliaryTenantIDs", auxiliary, "must name one to three tenants"));
  }
  if (auxiliary.length > 0 && typeOf(spec) !== IDENTITY_TYPE.clientSecret) {
    errors.push(fieldError("spec.auxiliaryTenantIDs", auxiliary, "is for type 1 only; remove it"));
  }
  return errors;
};

function isTenant(text: unknown): boolean {
  return typeof text === "string" && (GUID.test(text) || DOMAIN.test(text));
}

const secret: Check = ({ spec }) => {
  if (!usesSecret(spec)) return [];
  const reference = isJsonObject(spec["clientPassword"]) ? spec["clientPassword"] : {};
  return ["name", "namespace"]
    .filter((field) => !isObjectName(reference[field]))
    .map((field) =>
      fieldError(`spec.clientPassword.${field}`, reference[field], "must name the Secret of the credential"),
    );
};

const endpoint: Check = ({ spec }) => {
  const address = spec["adEndpoint"];
  if (!address || (typeof address === "string" && isAuthority(address))) return [];
  const fix =
    "must be an https address without path, query or credentials, for instance https://login.microsoftonline.com/";
  return [fieldError("spec.adEndpoint", address, fix)];
};

// With a whole URL parser, since what this lets through is sent a secret.
function isAuthority(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, pathname, search, hash, username, password } = new URL(address);
  return protocol === "https:" && pathname === "/" && `${search}${hash}${username}${password}` === "";
}

const accounts: Check = ({ spec }) => {
  const names: readonly unknown[] = Array.isArray(spec["serviceAccounts"]) ? spec["serviceAccounts"] : [];
  return names.flatMap((name, i) =>
    isObjectName(name) ? [] : [fieldError(`spec.serviceAccounts[${i}]`, name, "must be the name of a ServiceAccount")],
  );
};
