import type { AzureIdentitySpec, IdentityType } from "@podid/crd-types";
import { isObject, objectAt, stringAt } from "./json.ts";
import type { JsonObject } from "./json.ts";

const TEXTS = ["resourceID", "clientID", "tenantID", "adResourceID", "adEndpoint"] as const;

/** The known fields of a spec that have the right type. An unknown `type` is kept as it is; `identityProblem` reports it. */
export function identitySpec(spec: JsonObject): AzureIdentitySpec {
  const result: AzureIdentitySpec = {};
  if (typeof spec["type"] === "number") result.type = spec["type"] as IdentityType;
  for (const field of TEXTS) {
    const value = stringAt(spec, field);
    if (value !== undefined) result[field] = value;
  }
  const secret = objectAt(spec, "clientPassword");
  if (secret !== undefined) {
    const name = stringAt(secret, "name");
    const namespace = stringAt(secret, "namespace");
    result.clientPassword = {
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
    };
  }
  const tenants = strings(spec["auxiliaryTenantIDs"]);
  if (tenants !== undefined) result.auxiliaryTenantIDs = tenants;
  const serviceAccounts = strings(spec["serviceAccounts"]);
  if (serviceAccounts !== undefined) result.serviceAccounts = serviceAccounts;
  if (typeof spec["replicas"] === "number") result.replicas = spec["replicas"];
  if (isObject(spec["metadata"])) result.metadata = spec["metadata"];
  return result;
}

function strings(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return (value as readonly unknown[]).filter((entry) => typeof entry === "string");
}
