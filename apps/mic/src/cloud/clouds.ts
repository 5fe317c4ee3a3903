/** Where a cloud's Entra and ARM are. URLs end in a slash. */
export interface Cloud {
  readonly name: string;
  readonly authorityHost: string;
  readonly resourceManager: string;
}

const PUBLIC: Cloud = {
  name: "AzurePublicCloud",
  authorityHost: "https://login.microsoftonline.com/",
  resourceManager: "https://management.azure.com/",
};
const US_GOVERNMENT: Cloud = {
  name: "AzureUSGovernmentCloud",
  authorityHost: "https://login.microsoftonline.us/",
  resourceManager: "https://management.usgovcloudapi.net/",
};
const CHINA: Cloud = {
  name: "AzureChinaCloud",
  authorityHost: "https://login.chinacloudapi.cn/",
  resourceManager: "https://management.chinacloudapi.cn/",
};
const GERMAN: Cloud = {
  name: "AzureGermanCloud",
  authorityHost: "https://login.microsoftonline.de/",
  resourceManager: "https://management.microsoftazure.de/",
};

/** go-autorest's names, upper-cased. */
const CLOUDS: ReadonlyMap<string, Cloud> = new Map([
  ["AZUREPUBLICCLOUD", PUBLIC],
  ["AZURECLOUD", PUBLIC],
  ["AZUREUSGOVERNMENTCLOUD", US_GOVERNMENT],
  ["AZUREUSGOVERNMENT", US_GOVERNMENT],
  ["AZURECHINACLOUD", CHINA],
  ["AZUREGERMANCLOUD", GERMAN],
]);

/** The name under which go-autorest reads the cloud from the file that AZURE_ENVIRONMENT_FILEPATH names. */
const CUSTOM_CLOUD = "AZURESTACKCLOUD";

/**
 * The cloud of that name in any casing.
 * @param environmentFile text of the file of a custom cloud
 * @throws {Error} that says which names there are, or what is wrong with the file
 */
export function findCloud(name: string, environmentFile: () => string): Cloud {
  if (name.toUpperCase() === CUSTOM_CLOUD) return customCloud(environmentFile());
  const cloud = CLOUDS.get(name.toUpperCase());
  if (cloud === undefined) {
    const names = [...new Set([...CLOUDS.values()].map((known) => known.name)), "AzureStackCloud"].join(", ");
    throw new Error(
      `failed to get cloud environment, error: cloud ${JSON.stringify(name)} is not known; use one of ${names}`,
    );
  }
  return cloud;
}

function customCloud(text: string): Cloud {
  let file: Record<string, unknown>;
  try {
    file = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new Error(
      "failed to get cloud environment, error: the file that AZURE_ENVIRONMENT_FILEPATH names is not JSON",
      { cause: error },
    );
  }
  const { name, activeDirectoryEndpoint, resourceManagerEndpoint } = file;
  const authorityHost = url("activeDirectoryEndpoint", activeDirectoryEndpoint);
  const resourceManager = url("resourceManagerEndpoint", resourceManagerEndpoint);
  return { name: typeof name === "string" ? name : "AzureStackCloud", authorityHost, resourceManager };
}

function url(field: string, value: unknown): string {
  if (typeof value !== "string" || !URL.canParse(value)) {
    throw new Error(
      `failed to get cloud environment, error: ${field} is ${JSON.stringify(value)} in the file that AZURE_ENVIRONMENT_FILEPATH names; give a URL`,
    );
  }
  return value.endsWith("/") ? value : `${value}/`;
}
