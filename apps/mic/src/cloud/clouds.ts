/** Where a cloud's Entra and ARM are. URLs end in a slash. */
export interface Cloud {
  readonly name: string;
  readonly authorityHost: string;
  readonly resourceManager: string;
  /** Whom a token for ARM is for; undefined: ARM's own URL, as in all of Microsoft's clouds. */
  readonly audience?: string;
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

/**
 * Reads go-autorest's `azure.Environment`. Of its fixed fields MIC needs four; the others, as the suffixes of storage and databases,
 * are only looked at so far that a text stands where a text belongs. Keys are found in any casing, as Go finds them.
 */
function customCloud(text: string): Cloud {
  let file: unknown;
  try {
    file = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw broken("it is no JSON", error);
  }
  if (typeof file !== "object" || file === null || Array.isArray(file)) throw broken("it is no JSON object");
  const fields = new Map(
    Object.entries(file).map(([key, value]) => [key.toLowerCase(), { key, value: value as unknown }]),
  );
  const wrong = [...fields.values()].find(
    ({ key, value }) =>
      value !== null &&
      (key.toLowerCase() === "resourceidentifiers" ? typeof value !== "object" : typeof value !== "string"),
  );
  if (wrong !== undefined) throw broken(`${wrong.key} is ${JSON.stringify(wrong.value)}; give a text`);
  const field = (name: string): string => {
    const value = fields.get(name.toLowerCase())?.value;
    return typeof value === "string" ? value.trim() : "";
  };
  const audience = field("tokenAudience") || field("serviceManagementEndpoint");
  return {
    name: field("name") || "AzureStackCloud",
    authorityHost: url("activeDirectoryEndpoint", field("activeDirectoryEndpoint")),
    resourceManager: url("resourceManagerEndpoint", field("resourceManagerEndpoint")),
    ...(audience !== "" && { audience }),
  };
}

function url(field: string, value: string): string {
  if (!URL.canParse(value)) throw broken(`${field} is ${JSON.stringify(value)}; give a URL`);
  return value.endsWith("/") ? value : `${value}/`;
}

function broken(why: string, cause?: unknown): Error {
  return new Error(
    `failed to get cloud environment, error: the file that AZURE_ENVIRONMENT_FILEPATH names cannot be used: ${why}`,
    cause === undefined ? {} : { cause },
  );
}
