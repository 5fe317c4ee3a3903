/** A cloud, as far as signing in goes. */
export interface EntraCloud {
  readonly name: string;
  /** Its login endpoint, an origin with a slash at the end. */
  readonly authority: string;
}

const PUBLIC: EntraCloud = { name: "AzurePublicCloud", authority: "https://login.microsoftonline.com/" };
const US_GOVERNMENT: EntraCloud = { name: "AzureUSGovernmentCloud", authority: "https://login.microsoftonline.us/" };
const CHINA: EntraCloud = { name: "AzureChinaCloud", authority: "https://login.chinacloudapi.cn/" };

/** The names that go-autorest gives the clouds, upper-cased; the German one was closed in 2021. */
const CLOUDS: ReadonlyMap<string, EntraCloud> = new Map([
  ["AZUREPUBLICCLOUD", PUBLIC],
  ["AZURECLOUD", PUBLIC],
  ["AZUREUSGOVERNMENTCLOUD", US_GOVERNMENT],
  ["AZUREUSGOVERNMENT", US_GOVERNMENT],
  ["AZURECHINACLOUD", CHINA],
]);

/** The name under which go-autorest takes the endpoints from the file that AZURE_ENVIRONMENT_FILEPATH names. */
const CUSTOM = "AZURESTACKCLOUD";

/**
 * Every host of Microsoft's own that signs in for these clouds (the aliases of Entra's instance discovery). A secret that
 * goes to one of them goes to Microsoft.
 */
export const MICROSOFT_AUTHORITIES: readonly string[] = [
  "https://login.microsoftonline.com/",
  "https://login.microsoft.com/",
  "https://login.windows.net/",
  "https://sts.windows.net/",
  "https://login-us.microsoftonline.com/",
  "https://login.microsoftonline.us/",
  "https://login.usgovcloudapi.net/",
  "https://login.chinacloudapi.cn/",
  "https://login.partner.microsoftonline.cn/",
];

/**
 * The cloud of that name, in any casing.
 *
 * @param environmentFile text of the file of a custom cloud; read for `AzureStackCloud` only
 * @throws {Error} that says which names there are, or what is wrong with the file
 */
export function entraCloud(name: string, environmentFile: () => string): EntraCloud {
  if (name.toUpperCase() === CUSTOM) return customCloud(environmentFile());
  const cloud = CLOUDS.get(name.toUpperCase());
  if (cloud !== undefined) return cloud;
  const names = [...new Set([...CLOUDS.values()].map((known) => known.name)), "AzureStackCloud"];
  throw new Error(`cloud ${JSON.stringify(name)} is not known; use one of ${names.join(", ")}`);
}

function customCloud(text: string): EntraCloud {
  const wrong = (what: string): Error => new Error(`the file that AZURE_ENVIRONMENT_FILEPATH names ${what}`);
  let file: Readonly<Record<string, unknown>>;
  try {
    file = JSON.parse(text) as typeof file;
  } catch (error) {
    throw new Error(wrong("is not JSON").message, { cause: error });
  }
  const endpoint = file["activeDirectoryEndpoint"];
  const authority = typeof endpoint === "string" ? normalizeAuthority(endpoint) : undefined;
  if (authority === undefined)
    throw wrong(`has the activeDirectoryEndpoint ${JSON.stringify(endpoint)}; give an https URL without a path`);
  return { name: typeof file["name"] === "string" ? file["name"] : "AzureStackCloud", authority };
}

/** An authority in its one spelling, `https://HOST[:PORT]/`; undefined for everything that is not only that. */
export function normalizeAuthority(text: string): string | undefined {
  const trimmed = text.trim();
  if (!URL.canParse(trimmed)) return undefined;
  const { protocol, pathname, search, hash, username, password, origin } = new URL(trimmed);
  return protocol === "https:" && pathname === "/" && `${search}${hash}${username}${password}` === ""
    ? `${origin}/`
    : undefined;
}
