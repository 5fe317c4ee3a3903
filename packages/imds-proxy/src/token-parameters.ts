import { printable } from "./query.ts";
import type { QueryParameter } from "./query.ts";
import { errorReply } from "./reply.ts";
import type { Refusal, RefusalReason, RequestedIdentity, TokenRequest } from "./request.ts";

const ID_PARAMETERS = ["client_id", "object_id", "msi_res_id", "mi_res_id"] as const;
/** Names that look as if they chose an identity. SDKs and people misspell them; ignoring one would answer with another identity. */
const ID_LIKE = /clientid|objectid|principalid|resid|resourceid/;
const API_VERSION = /^\d{4}-\d{2}-\d{2}$/;
const CAPABILITIES = /^[\w .,~-]{1,256}$/;
const MAX_RESOURCE = 2048;
const MAX_ID = 1024;

/** Reads the parameters of a token request; names other than those of the identity are accepted in any casing. */
export function tokenRequest(parameters: readonly QueryParameter[]): TokenRequest | Refusal {
  const values = new Map<string, string>();
  for (const { name, value } of parameters) {
    if ((ID_PARAMETERS as readonly string[]).includes(name)) {
      values.set(name, value);
      continue;
    }
    if (ID_LIKE.test(name.toLowerCase().replace(/[-_]/g, ""))) {
      return refusal(
        "unknown-id-parameter",
        `The query parameter '${printable(name)}' is unknown; name an identity by client_id, object_id or msi_res_id`,
      );
    }
    values.set(name.toLowerCase(), value);
  }

  const resource = values.get("resource") ?? "";
  if (resource === "") return refusal("missing-resource", "parameter resource cannot be empty");
  if (resource.length > MAX_RESOURCE)
    return refusal("invalid-parameter", `'resource' is longer than ${MAX_RESOURCE} characters`);
  const apiVersion = values.get("api-version");
  if (apiVersion !== undefined && !API_VERSION.test(apiVersion)) {
    return refusal("invalid-parameter", "Invalid 'api-version' requested");
  }
  const capabilities = values.get("xms_cc") || undefined;
  if (capabilities !== undefined && !CAPABILITIES.test(capabilities)) {
    return refusal("invalid-parameter", "Invalid 'xms_cc' requested");
  }
  if (values.has("msi_res_id") && values.has("mi_res_id")) {
    return refusal(
      "invalid-query",
      "Invalid request: msi_res_id and mi_res_id are two names of one parameter; give one of them",
    );
  }
  if (ID_PARAMETERS.some((name) => (values.get(name)?.length ?? 0) > MAX_ID)) {
    return refusal("invalid-parameter", `An identity's id is longer than ${MAX_ID} characters`);
  }
  return {
    kind: "token",
    resource,
    apiVersion,
    requested: requestedIdentity(values),
    bypassCache: values.get("bypass_cache")?.toLowerCase() === "true",
    authority: values.get("authority") || undefined,
    capabilities,
  };
}

/** An empty value counts as absent, as upstream counted it. */
function requestedIdentity(values: ReadonlyMap<string, string>): RequestedIdentity {
  const clientId = values.get("client_id");
  const objectId = values.get("object_id");
  const resourceId = values.get("msi_res_id") || values.get("mi_res_id");
  return {
    ...(clientId ? { clientId } : {}),
    ...(objectId ? { objectId } : {}),
    ...(resourceId ? { resourceId } : {}),
  };
}

function refusal(reason: RefusalReason, description: string): Refusal {
  return { kind: "refusal", reason, reply: errorReply(400, "invalid_request", description) };
}
