import { digest } from "./digest.ts";
import { parseIdentityResourceId } from "./identity-resource-id.ts";
import type { AzureIdentitySpec } from "./types.ts";

/**
 * Stable text of what matters in a spec: two specs have equal text exactly when they mean the same identity and the same way to
 * get its tokens. Key order, absent versus default, the casing of ids and the order of `serviceAccounts` do not matter;
 * `replicas`, `metadata` and `adResourceID`, which nothing reads, are left out. Compare it, do not parse or store it.
 */
export function specFingerprint(spec: AzureIdentitySpec): string {
  return JSON.stringify([
    spec.type ?? 0,
    resourceKey(spec.resourceID),
    spec.clientID?.toLowerCase() ?? "",
    spec.tenantID?.toLowerCase() ?? "",
    spec.auxiliaryTenantIDs?.map((tenant) => tenant.toLowerCase()) ?? [],
    spec.adEndpoint ?? "",
    spec.clientPassword?.namespace ?? "",
    spec.clientPassword?.name ?? "",
    [...new Set(spec.serviceAccounts)].sort(),
  ]);
}

/** The fingerprint in 13 characters, to be stored. Two specs may share one, if somebody makes them so: never decide access by it. */
export function specDigest(fingerprint: string): string {
  return digest(fingerprint);
}

function resourceKey(text: string | undefined): string {
  const parsed = parseIdentityResourceId(text ?? "");
  return parsed.ok ? parsed.value.key : (text ?? "");
}
