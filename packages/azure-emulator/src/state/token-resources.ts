/** Services that have a service principal in every tenant. Without a trailing slash. */
const RESOURCES: ReadonlySet<string> = new Set([
  "https://management.azure.com",
  "https://management.core.windows.net",
  "https://management.usgovcloudapi.net",
  "https://management.core.usgovcloudapi.net",
  "https://management.chinacloudapi.cn",
  "https://management.core.chinacloudapi.cn",
  "https://management.microsoftazure.de",
  "https://graph.microsoft.com",
  "https://graph.windows.net",
  "https://vault.azure.net",
  "https://managedhsm.azure.net",
  "https://vault.usgovcloudapi.net",
  "https://vault.azure.cn",
  "https://storage.azure.com",
  "https://database.windows.net",
  "https://ossrdbms-aad.database.windows.net",
  "https://servicebus.azure.net",
  "https://eventhubs.azure.net",
  "https://datalake.azure.net",
  "https://batch.core.windows.net",
  "https://cognitiveservices.azure.com",
  "https://monitor.azure.com",
  "https://monitoring.azure.com",
  "https://api.loganalytics.io",
  "https://dev.azuresynapse.net",
  "https://cosmos.azure.com",
  "https://search.azure.com",
  "https://redis.azure.com",
  "https://azconfig.io",
  "https://digitaltwins.azure.net",
  "https://containerregistry.azure.net",
  "api://AzureADTokenExchange",
  // Azure Kubernetes Service AAD Server
  "6dae42f8-4368-4678-94ff-3960e28e3630",
]);

/** Services that accept the address of an instance as the resource's name. */
const INSTANCES =
  /^https:\/\/[a-z0-9.-]+\.(core\.windows\.net|database\.windows\.net|documents\.azure\.com|azurecr\.io|servicebus\.windows\.net)$/i;

/** ARM at the emulator's own address: SDKs ask for tokens named after the endpoint they are given. */
const LOCAL = /^https:\/\/(localhost|127\.0\.0\.1)(:\d+)?$/i;

/** Whether Entra issues tokens for `resource` (no trailing slash) in any tenant. */
export function isKnownResource(resource: string): boolean {
  return RESOURCES.has(resource) || INSTANCES.test(resource) || LOCAL.test(resource);
}
