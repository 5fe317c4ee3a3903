import type { Kind } from "./kind.ts";

/** Fields of `spec` as they are spelled since aad-pod-identity 1.6. */
export const SPEC_FIELDS = {
  AzureIdentity: [
    "type",
    "resourceID",
    "clientID",
    "clientPassword",
    "tenantID",
    "auxiliaryTenantIDs",
    "adResourceID",
    "adEndpoint",
    "replicas",
    "metadata",
    "serviceAccounts",
  ],
  AzureIdentityBinding: ["azureIdentity", "selector", "weight", "metadata"],
  AzureAssignedIdentity: [
    "azureIdentityRef",
    "azureBindingRef",
    "pod",
    "podNamespace",
    "nodename",
    "replicas",
    "metadata",
  ],
  AzurePodIdentityException: ["podLabels", "metadata"],
} as const satisfies Record<Kind, readonly string[]>;

/**
 * Other spellings under which stored objects may still hold those fields: before 1.6 the types were decoded in any casing, manuals
 * wrote the first form and MIC itself all lower case.
 */
export const LEGACY_SPEC_FIELDS: Readonly<Record<Kind, Readonly<Record<string, string>>>> = {
  AzureIdentity: spellings({
    type: ["Type"],
    resourceID: ["ResourceID"],
    clientID: ["ClientID"],
    clientPassword: ["ClientPassword"],
    tenantID: ["TenantID"],
    adResourceID: ["ADResourceID"],
    adEndpoint: ["ADEndpoint"],
    replicas: ["Replicas"],
  }),
  AzureIdentityBinding: spellings({ azureIdentity: ["AzureIdentity"], selector: ["Selector"], weight: ["Weight"] }),
  AzureAssignedIdentity: spellings({
    azureIdentityRef: ["AzureIdentityRef"],
    azureBindingRef: ["AzureBindingRef"],
    pod: ["Pod"],
    podNamespace: ["PodNamespace"],
    nodename: ["NodeName", "nodeName"],
    replicas: ["Replicas"],
  }),
  AzurePodIdentityException: spellings({ podLabels: ["PodLabels"] }),
};

/** Legacy spelling → present one, the all-lower-case form included. */
function spellings(written: Readonly<Record<string, readonly string[]>>): Readonly<Record<string, string>> {
  const table: Record<string, string> = {};
  for (const [field, legacy] of Object.entries(written)) {
    for (const spelling of [...legacy, field.toLowerCase()]) {
      if (spelling !== field) table[spelling] = field;
    }
  }
  return table;
}
