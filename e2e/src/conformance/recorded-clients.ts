/**
 * The requests of official clients as they were recorded on the wire, and what each needs of an answer. Measured on
 * 22 November 2026 with unmodified clients; Key Vault's driver and old azcopy are read from their sources.
 */
export interface RecordedClient {
  readonly name: string;
  /** Requests without `Metadata`, sent first; some give up after a second and some take only 400 for "there is one". */
  readonly probe?: (ids: Ids) => string;
  /** Token requests, by each kind of id that the client can name. */
  readonly token: Readonly<Partial<Record<keyof Ids | "none", (id: string) => string>>>;
  /** Fields without which the client fails. */
  readonly needs: readonly string[];
  /** Fails on anything but texts. */
  readonly strings?: true;
  /** Looks at the token itself. */
  readonly claims?: readonly string[];
  /** Bytes that it searches in the body. */
  readonly bytes?: string;
  /** Which of two expiries counts is the later one's. */
  readonly expiresOnLast?: true;
}

export interface Ids {
  readonly clientId: string;
  readonly resourceId: string;
  readonly objectId: string;
}

const PATH = "/metadata/identity/oauth2/token";
const ARM = "https://management.azure.com/";
const REQUEST_ID = "7f1c6c1e-3f0c-4f58-9b6e-2b1d6e0f9a11";

function request(target: string, ...headers: readonly string[]): string {
  const host = headers.some((line) => /^host:/i.test(line)) ? [] : ["Host: 169.254.169.254"];
  return [`GET ${target} HTTP/1.1`, ...host, ...headers, "", ""].join("\r\n");
}

type Spelling = "client_id" | "object_id" | "msi_res_id" | "mi_res_id";

/** The ways to name an identity; `target` puts name and value where the client puts them. */
function byEach(
  names: Readonly<Partial<Record<keyof Ids, Spelling>>>,
  target: (name: string, value: string) => string,
  headers: readonly string[],
  without: string,
): RecordedClient["token"] {
  const named = Object.entries(names).map(([kind, name]) => [
    kind,
    (id: string) => request(target(name, id), ...headers),
  ]);
  return { none: () => request(without, ...headers), ...(Object.fromEntries(named) as RecordedClient["token"]) };
}

const E = encodeURIComponent;
const V = "api-version=2018-02-01";
const raw = (name: string, id: string): string => `${PATH}?${V}&resource=${ARM}&${name}=${id}`;
const escaped = (name: string, id: string): string => `${PATH}?${V}&resource=${E(ARM)}&${name}=${E(id)}`;
/** Go sorts the names of a query. */
const sorted = (name: string, id: string): string =>
  name < "resource"
    ? `${PATH}?${V}&${name}=${E(id)}&resource=${E(ARM)}`
    : `${PATH}?${V}&resource=${E(ARM)}&${name}=${E(id)}`;
/** Java puts the resource id before the resource, and the client id after it. */
const java = (name: string, id: string): string => (name === "mi_res_id" ? sorted(name, id) : escaped(name, id));
const resourceFirst = (name: string, id: string): string => `${PATH}?resource=${E(ARM)}&${V}&${name}=${E(id)}`;
const RAW = `${PATH}?${V}&resource=${ARM}`;
const ESCAPED = `${PATH}?${V}&resource=${E(ARM)}`;

const ALL = { clientId: "client_id", resourceId: "msi_res_id", objectId: "object_id" } as const;
const MI = { clientId: "client_id", resourceId: "mi_res_id", objectId: "object_id" } as const;
const CLIENT_ID = { clientId: "client_id" } as const;
const NO_OBJECT_ID = { clientId: "client_id", resourceId: "msi_res_id" } as const;
const NO_OBJECT_ID_MI = { clientId: "client_id", resourceId: "mi_res_id" } as const;

const REQUESTS = [
  "User-Agent: python-requests/2.34.2",
  "Accept-Encoding: gzip, deflate",
  "Accept: */*",
  "Connection: keep-alive",
];
const PYTHON = [
  "User-Agent: azsdk-python-identity/1.27.0 Python/3.11.7 (Linux)",
  "Accept-Encoding: gzip, deflate",
  "Accept: */*",
  "Connection: keep-alive",
];
const PYTHON_MSAL = ["x-client-SKU: MSAL.Python", "x-client-Ver: 1.39.0", `x-ms-client-request-id: ${REQUEST_ID}`];
const GO = ["User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip"];
const GO_MSAL = [
  "Metadata: true",
  "X-Client-Sku: MSAL.Go",
  "X-Client-Ver: 1.10.0",
  `X-Ms-Client-Request-Id: ${REQUEST_ID}`,
];
const GO_SDK = ["User-Agent: azsdk-go-azidentity/v1.15.0 (go1.26; linux)", "Accept-Encoding: gzip"];
const JAVA = [
  "User-Agent: azsdk-java-azure-identity/1.19.0",
  "host: 169.254.169.254",
  "accept: application/json",
  "Metadata: true",
];
const JAVA_17 = [
  "User-Agent: Java/17.0.16",
  "Accept: text/html, image/gif, image/jpeg, */*; q=0.2",
  "Connection: keep-alive",
];
const JS = [
  "Content-Type: application/x-www-form-urlencoded",
  "metadata: true",
  "User-Agent: azsdk-js-identity/4.14.1 core-rest-pipeline/1.22.1 Node/24.21.0 OS/(x64-Linux-6.8.0)",
  "Accept-Encoding: gzip,deflate",
  "Connection: keep-alive",
];
const FETCH = [
  "Connection: keep-alive",
  "metadata: true",
  "content-type: application/x-www-form-urlencoded;charset=utf-8",
  "accept: */*",
  "accept-language: *",
  "sec-fetch-mode: cors",
  "user-agent: node",
  "accept-encoding: gzip, deflate",
];
const DOTNET = [
  `x-ms-client-request-id: ${REQUEST_ID}`,
  "x-ms-return-client-request-id: true",
  "User-Agent: azsdk-net-Identity/1.17.1 (.NET 9.0.11; Linux)",
];

export const RECORDED_CLIENTS: readonly RecordedClient[] = [
  {
    name: "azure-identity 1.27 (Python)",
    token: byEach(ALL, raw, ["Metadata: true", ...PYTHON_MSAL, ...PYTHON], RAW),
    needs: ["access_token", "expires_in"],
  },
  {
    name: "azure-identity 1.27 (Python), DefaultAzureCredential",
    probe: ({ clientId }) => request(raw("client_id", clientId), ...PYTHON),
    token: byEach(CLIENT_ID, raw, ["Metadata: true", ...PYTHON_MSAL, ...PYTHON], RAW),
    needs: ["access_token", "expires_in"],
  },
  {
    name: "azure-identity 1.12 (Python)",
    probe: ({ clientId }) => request(raw("client_id", clientId), ...PYTHON),
    token: byEach(ALL, raw, ["Metadata: true", ...PYTHON], RAW),
    needs: ["access_token", "expires_in", "resource"],
  },
  {
    name: "msal 1.39 (Python)",
    token: byEach(ALL, escaped, [...REQUESTS, "Metadata: true"], ESCAPED),
    needs: ["access_token", "expires_in"],
  },
  {
    name: "az CLI 2.91",
    token: byEach(ALL, escaped, [...REQUESTS, "Metadata: true"], ESCAPED),
    needs: ["access_token", "expires_in"],
    claims: ["tid"],
  },
  {
    name: "msrestazure 0.6.4, az CLI 2.45",
    token: byEach(
      ALL,
      resourceFirst,
      [
        "User-Agent: msrest_azure/0.6.4",
        "Accept-Encoding: gzip, deflate",
        "Accept: */*",
        "Connection: keep-alive",
        "Metadata: true",
      ],
      `${PATH}?resource=${E(ARM)}&${V}`,
    ),
    needs: ["access_token", "token_type", "expires_on"],
    claims: ["tid"],
  },
  {
    name: "azidentity 1.15 (Go)",
    token: byEach(ALL, sorted, [...GO_MSAL, ...GO_SDK], ESCAPED),
    needs: ["access_token", "expires_in"],
  },
  {
    name: "azidentity 1.15 (Go), DefaultAzureCredential",
    probe: () => request(PATH, ...GO_SDK),
    token: byEach(CLIENT_ID, sorted, [...GO_MSAL, ...GO_SDK], ESCAPED),
    needs: ["access_token", "expires_in"],
  },
  {
    name: "azidentity 1.3 (Go)",
    token: byEach(NO_OBJECT_ID_MI, sorted, [...GO_SDK, "Metadata: true"], ESCAPED),
    needs: ["access_token", "expires_on"],
  },
  {
    name: "msal 1.10 (Go)",
    token: byEach(ALL, sorted, [...GO, ...GO_MSAL], ESCAPED),
    needs: ["access_token", "expires_in"],
  },
  {
    name: "adal 0.9 (Go)",
    probe: () => request(`${PATH}?${V}`, ...GO),
    token: byEach(NO_OBJECT_ID_MI, sorted, [...GO, "Metadata: true"], ESCAPED),
    needs: ["access_token", "expires_on"],
  },
  {
    name: "go-azure-sdk, Terraform",
    token: byEach(CLIENT_ID, sorted, [...GO, "Metadata: true"], ESCAPED),
    needs: ["access_token", "expires_in", "token_type"],
  },
  {
    name: "azcopy before azidentity",
    token: byEach(ALL, sorted, [...GO, "Metadata: true"], ESCAPED),
    needs: ["access_token", "expires_on", "not_before"],
    bytes: '"not_before":"',
  },
  { name: "azure-identity 1.19 (Java)", token: byEach(MI, java, JAVA, ESCAPED), needs: ["access_token", "expires_on"] },
  {
    name: "azure-identity 1.19 (Java), DefaultAzureCredential",
    probe: () => request(`${PATH}?${V}`, ...JAVA_17),
    token: byEach(NO_OBJECT_ID_MI, java, JAVA, ESCAPED),
    needs: ["access_token", "expires_on"],
  },
  {
    name: "MSAL4J 1.26",
    token: byEach(MI, java, ["Metadata: true", ...JAVA_17], ESCAPED),
    needs: ["access_token", "expires_on"],
  },
  { name: "@azure/identity 4.14", token: byEach(ALL, escaped, JS, ESCAPED), needs: ["access_token", "expires_on"] },
  {
    name: "@azure/identity 4.14, DefaultAzureCredential",
    probe: () =>
      request(PATH, "User-Agent: azsdk-js-identity/4.14.1", "Accept-Encoding: gzip,deflate", "Connection: keep-alive"),
    token: byEach(NO_OBJECT_ID, escaped, JS, ESCAPED),
    needs: ["access_token", "expires_on"],
  },
  {
    name: "@azure/identity 3.4",
    probe: () =>
      request(PATH, "User-Agent: azsdk-js-identity/3.4.2", "Accept-Encoding: gzip,deflate", "Connection: keep-alive"),
    token: byEach(
      NO_OBJECT_ID,
      resourceFirst,
      ["Accept: application/json", "Metadata: true", "Accept-Encoding: gzip,deflate", "Connection: keep-alive"],
      `${PATH}?resource=${E(ARM)}&${V}`,
    ),
    needs: ["access_token", "expires_on"],
  },
  { name: "@azure/msal-node 7.2", token: byEach(ALL, escaped, FETCH, ESCAPED), needs: ["access_token", "expires_on"] },
  {
    name: "azure_identity 1.0 (Rust)",
    token: byEach(
      ALL,
      (name, id) => escaped(name, id).replace("2018-02-01", "2019-08-01"),
      ["metadata: true", "accept: */*", "host: 169.254.169.254"],
      ESCAPED.replace("2018-02-01", "2019-08-01"),
    ),
    needs: ["access_token", "expires_on", "token_type", "resource"],
    strings: true,
  },
  {
    name: "Azure.Identity 1.17 (.NET)",
    probe: ({ clientId }) => request(`${PATH}?${V}&client_id=${clientId}`, ...DOTNET),
    token: byEach(CLIENT_ID, raw, ["Metadata: true", ...DOTNET], RAW),
    needs: ["access_token", "expires_in", "expires_on"],
    expiresOnLast: true,
  },
];

/** Key Vault's CSI driver, on the node: no `Metadata`, no version, no id. */
export function keyVaultDriver(namespace: string, pod: string): string {
  return request(
    "/host/token/?resource=https://vault.azure.net",
    "Host: localhost:2579",
    "User-Agent: Go-http-client/1.1",
    `Podname: ${pod}`,
    `Podns: ${namespace}`,
    "Accept-Encoding: gzip",
  );
}
