import type { MetadataRequest, TokenRequest } from "./request.ts";
import { TOKEN_PATH } from "./routes.ts";

/** api-version of IMDS's token route that every client uses and every IMDS knows. */
export const TOKEN_API_VERSION = "2018-02-01";

/** The request target that means the same as the parsed request; this, never the client's bytes, goes to IMDS. */
export function requestTarget(request: TokenRequest | MetadataRequest): string {
  if (request.kind === "metadata")
    return withQuery(
      request.path,
      request.parameters.map(({ name, value }) => [name, value]),
    );
  return withQuery(TOKEN_PATH, [
    ["api-version", request.apiVersion ?? TOKEN_API_VERSION],
    ["resource", request.resource],
    ["client_id", request.requested.clientId],
    ["object_id", request.requested.objectId],
    ["msi_res_id", request.requested.resourceId],
    ["authority", request.authority],
    ["xms_cc", request.capabilities],
    ["bypass_cache", request.bypassCache ? "true" : undefined],
  ]);
}

/** Path with those parameters that have a value. */
export function withQuery(path: string, parameters: readonly (readonly [string, string | undefined])[]): string {
  const query = parameters
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(value ?? "")}`)
    .join("&");
  return query === "" ? path : `${path}?${query}`;
}
