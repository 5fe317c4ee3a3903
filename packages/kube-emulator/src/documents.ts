import type { ServerResponse } from "node:http";
import type { Call } from "./call.ts";
import { sendJson, sendText, sendUnknownPath } from "./call.ts";
import { group, groupList, resourceList, VERSION } from "./discovery.ts";
import type { Json } from "./json.ts";
import { openApiDocument, openApiIndex, openApiV2 } from "./openapi.ts";
import type { Registry } from "./registry.ts";
import type { RequestInfo } from "./request.ts";
import { methodNotAllowed } from "./status.ts";

/** What OIDC discovery tells. */
export interface PublicFacts {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly jwks: () => Promise<Json>;
}

/** Paths that need no credentials. Answers whether it was one of them. */
export async function servePublic(info: RequestInfo, response: ServerResponse, o: PublicFacts): Promise<boolean> {
  switch (info.path) {
    case "/healthz":
    case "/livez":
    case "/readyz":
      sendText(response, 200, "ok");
      return true;
    case "/version":
    case "/version/":
      sendJson(response, 200, VERSION);
      return true;
    case "/.well-known/openid-configuration":
      sendJson(response, 200, {
        issuer: o.issuer,
        jwks_uri: o.jwksUri,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
      });
      return true;
    case "/openid/v1/jwks":
      sendJson(response, 200, await o.jwks(), { "content-type": "application/jwk-set+json" });
      return true;
    default:
      return false;
  }
}

/** Discovery and OpenAPI: what is here, and how it looks. */
export function serveDiscovery({ info, response }: Call, registry: Registry): void {
  const path = info.path.replace(/\/$/, "");
  const [root, first, second] = path.split("/").filter((part) => part !== "");
  let document: Json | undefined;
  if (path === "/api") document = { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
  else if (path === "/apis") document = groupList(registry);
  else if (root === "api" && first === "v1" && second === undefined) document = resourceList(registry, "v1");
  else if (root === "apis" && second !== undefined) document = resourceList(registry, `${first}/${second}`);
  else if (root === "apis" && first !== undefined) document = group(registry, first);
  else if (path === "/openapi/v2") document = openApiV2(registry);
  else if (path === "/openapi/v3") document = openApiIndex(registry);
  else if (path.startsWith("/openapi/v3/api"))
    document = openApiDocument(registry, path.replace(/^\/openapi\/v3\/apis?\//, ""));
  else if (path === "")
    document = {
      paths: [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/openid/v1/jwks",
        "/readyz",
        "/version",
      ],
    };
  if (info.method !== "GET") throw methodNotAllowed();
  if (document === undefined) sendUnknownPath(response);
  else sendJson(response, 200, document);
}
