/** The four kinds of the group and their plurals, in the order in which they are presented everywhere. */
export const KINDS = {
  AzureIdentity: "azureidentities",
  AzureIdentityBinding: "azureidentitybindings",
  AzureAssignedIdentity: "azureassignedidentities",
  AzurePodIdentityException: "azurepodidentityexceptions",
} as const;

export type Kind = keyof typeof KINDS;
