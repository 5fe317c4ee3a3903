import { canonicalPath } from "./path.ts";
import { parseQuery } from "./query.ts";
import type { QueryParameter } from "./query.ts";
import { errorReply } from "./reply.ts";
import type { MetadataCategory, MetadataRequest, Refusal, TokenRequest } from "./request.ts";
import { CATEGORIES, routeOf } from "./routes.ts";
import { tokenRequest } from "./token-parameters.ts";

/** What a request target says; what becomes of it depends on the headers and the method as well. */
export type Target =
  | { readonly kind: "invalid"; readonly why: string }
  | { readonly kind: "host-token"; readonly request: TokenRequest | Refusal }
  | { readonly kind: "unknown-identity-path" }
  | { readonly kind: "not-found" }
  | {
      readonly kind: "known";
      /** undefined: a token request. */
      readonly category: MetadataCategory | undefined;
      readonly request: TokenRequest | MetadataRequest | Refusal;
    };

const PARAMETER_VALUE = /^[A-Za-z0-9._:-]{0,64}$/;

/** Reads a request target, path and query. Pure: the same text always means the same. */
export function readTarget(text: string): Target {
  const mark = text.indexOf("?");
  const path = canonicalPath(mark < 0 ? text : text.slice(0, mark));
  if (!path.ok) return { kind: "invalid", why: path.why };
  const route = routeOf(path.segments);
  if (route.kind === "unknown-identity-path" || route.kind === "not-found") return route;
  const category = route.kind === "metadata" ? route.category : undefined;
  const query = parseQuery(mark < 0 ? "" : text.slice(mark + 1));
  if (!query.ok) {
    const reply = errorReply(400, "invalid_request", `Invalid request: ${query.why}`);
    const request: Refusal = { kind: "refusal", reason: "invalid-query", reply };
    return route.kind === "host-token" ? { kind: "host-token", request } : { kind: "known", category, request };
  }
  if (route.kind === "host-token") return { kind: "host-token", request: tokenRequest(query.parameters) };
  const request =
    route.kind === "token"
      ? tokenRequest(query.parameters)
      : metadataRequest(route.category, route.path, query.parameters);
  return { kind: "known", category, request };
}

function metadataRequest(
  category: MetadataCategory,
  path: string,
  given: readonly QueryParameter[],
): MetadataRequest | Refusal {
  const parameters: { name: string; value: string }[] = [];
  for (const name of CATEGORIES[category].parameters) {
    const parameter = given.find((candidate) => candidate.name.toLowerCase() === name);
    if (parameter === undefined) continue;
    if (!PARAMETER_VALUE.test(parameter.value)) {
      const reply = errorReply(400, "invalid_request", `Invalid '${name}' requested`);
      return { kind: "refusal", reason: "invalid-parameter", reply };
    }
    parameters.push({ name, value: parameter.value });
  }
  return { kind: "metadata", method: "GET", category, path, parameters };
}
