import type { JsonObject } from "../json.ts";

const LOGIN_HOSTS = [
  ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
  ["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
  ["login.microsoftonline.de"],
  ["login.microsoftonline.us", "login.usgovcloudapi.net"],
  ["login-us.microsoftonline.com"],
] as const;

const CACHES = [
  "login.windows.net",
  "login.partner.microsoftonline.cn",
  "login.microsoftonline.de",
  "login.microsoftonline.us",
  "login-us.microsoftonline.com",
];

/** Whether a Host header (port ignored) belongs to Entra. */
export function isLoginHost(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return LOGIN_HOSTS.some((aliases) => (aliases as readonly string[]).includes(name));
}

export const ALL_LOGIN_HOSTS: readonly string[] = LOGIN_HOSTS.flat();

/** `openid-configuration` of a tenant, on the host that was asked. */
export function openIdConfiguration(o: { host: string; tenant: string; version: 1 | 2 }): JsonObject {
  const tenant = `https://${o.host}/${o.tenant}`;
  const v2 = o.version === 2;
  const oauth2 = v2 ? `${tenant}/oauth2/v2.0` : `${tenant}/oauth2`;
  return {
    token_endpoint: `${oauth2}/token`,
    token_endpoint_auth_methods_supported: ["client_secret_post", "private_key_jwt", "client_secret_basic"],
    jwks_uri: v2 ? `${tenant}/discovery/v2.0/keys` : `https://${o.host}/common/discovery/keys`,
    response_modes_supported: ["query", "fragment", "form_post"],
    subject_types_supported: ["pairwise"],
    id_token_signing_alg_values_supported: ["RS256"],
    response_types_supported: ["code", "id_token", "code id_token", "id_token token"],
    scopes_supported: ["openid", "profile", "email", "offline_access"],
    issuer: v2 ? `${tenant}/v2.0` : `https://sts.windows.net/${o.tenant}/`,
    request_uri_parameter_supported: false,
    userinfo_endpoint: "https://graph.microsoft.com/oidc/userinfo",
    authorization_endpoint: `${oauth2}/authorize`,
    device_authorization_endpoint: `${oauth2}/devicecode`,
    http_logout_supported: true,
    frontchannel_logout_supported: true,
    end_session_endpoint: `${oauth2}/logout`,
    claims_supported: [
      "sub",
      "iss",
      "cloud_instance_name",
      "cloud_instance_host_name",
      "cloud_graph_host_name",
      "msgraph_host",
      "aud",
      "exp",
      "iat",
      "auth_time",
      "acr",
      "nonce",
      "preferred_username",
      "name",
      "tid",
      "ver",
      "at_hash",
      "c_hash",
      "email",
    ],
    kerberos_endpoint: `${tenant}/kerberos`,
    tenant_region_scope: "WW",
    cloud_instance_name: "microsoftonline.com",
    cloud_graph_host_name: "graph.windows.net",
    msgraph_host: "graph.microsoft.com",
    rbac_url: "https://pas.windows.net",
  };
}

/** `/common/discovery/instance`; undefined when the asked authority is none of Azure's, nor the host that was asked. */
export function instanceDiscovery(o: {
  host: string;
  authorizationEndpoint: string;
  version: string;
}): JsonObject | undefined {
  let asked: URL;
  try {
    asked = new URL(o.authorizationEndpoint);
  } catch {
    return undefined;
  }
  const own = asked.host === o.host && !isLoginHost(asked.host);
  if (!own && !isLoginHost(asked.host)) return undefined;
  const tenant = asked.pathname.split("/")[1] ?? "common";
  return {
    tenant_discovery_endpoint: `https://${asked.host}/${tenant}/v2.0/.well-known/openid-configuration`,
    "api-version": o.version,
    metadata: [
      ...LOGIN_HOSTS.map((aliases, index) => ({
        preferred_network: aliases[0],
        preferred_cache: CACHES[index],
        aliases,
      })),
      ...(own ? [{ preferred_network: asked.host, preferred_cache: asked.host, aliases: [asked.host] }] : []),
    ],
  };
}
