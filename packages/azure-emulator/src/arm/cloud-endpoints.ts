import type { JsonObject } from "../json.ts";

/** `/metadata/endpoints`, which az and Terraform read to learn where a cloud's services are. Newer versions list every cloud. */
export function endpoints(apiVersion: string): JsonObject | readonly JsonObject[] {
  const cloud: JsonObject = {
    name: "AzureCloud",
    portal: "https://portal.azure.com",
    authentication: {
      loginEndpoint: "https://login.microsoftonline.com",
      audiences: ["https://management.core.windows.net/", "https://management.azure.com/"],
      tenant: "common",
      identityProvider: "AAD",
    },
    graph: "https://graph.windows.net/",
    graphAudience: "https://graph.windows.net/",
    microsoftGraphResourceId: "https://graph.microsoft.com/",
    resourceManager: "https://management.azure.com/",
    media: "https://rest.media.azure.net",
    batch: "https://batch.core.windows.net/",
    suffixes: {
      storage: "core.windows.net",
      keyVaultDns: "vault.azure.net",
      sqlServerHostname: "database.windows.net",
      acrLoginServer: "azurecr.io",
      mhsmDns: "managedhsm.azure.net",
    },
  };
  return apiVersion >= "2022-09-01" ? cloud : [cloud];
}
