import type { MetadataCategory } from "./request.ts";

/** Canonical path of token requests; also the `operation_type` label of upstream's metric. */
export const TOKEN_PATH = "/metadata/identity/oauth2/token";
export const HOST_TOKEN_PATH = "/host/token";

export type Route =
  | { readonly kind: "token" }
  | { readonly kind: "host-token" }
  | { readonly kind: "metadata"; readonly category: MetadataCategory; readonly path: string }
  | { readonly kind: "unknown-identity-path" }
  | { readonly kind: "not-found" };

interface CategoryRule {
  /** Path segments that may follow the category's own. */
  readonly rest: (rest: readonly string[]) => boolean;
  readonly parameters: readonly string[];
}

const nothing = (rest: readonly string[]): boolean => rest.length === 0;

/** The metadata routes of IMDS that pods may use, with the parameters each understands. */
export const CATEGORIES: Readonly<Record<MetadataCategory, CategoryRule>> = {
  root: { rest: nothing, parameters: ["api-version", "format"] },
  "identity-info": { rest: nothing, parameters: ["api-version"] },
  instance: { rest: () => true, parameters: ["api-version", "format"] },
  versions: { rest: nothing, parameters: [] },
  attested: { rest: (rest) => rest.length === 1 && rest[0] === "document", parameters: ["api-version", "nonce"] },
  scheduledevents: { rest: nothing, parameters: ["api-version"] },
  loadbalancer: { rest: nothing, parameters: ["api-version", "format"] },
};

/**
 * `/metadata` and the category are read in any casing, as blocking must; below `identity` casing counts, as it does
 * for IMDS, so that `/metadata/Identity/…` is an unknown identity path and never forwarded.
 */
export function routeOf(segments: readonly string[]): Route {
  const [first, second, ...rest] = segments;
  if (first === "host" && second === "token" && rest.length === 0) return { kind: "host-token" };
  if (first?.toLowerCase() !== "metadata") return { kind: "not-found" };
  if (second === undefined) return { kind: "metadata", category: "root", path: "/metadata" };
  const category = second.toLowerCase();
  if (category === "identity") return identityRoute(second, rest);
  if (!isPlainCategory(category) || !CATEGORIES[category].rest(rest)) return { kind: "not-found" };
  return { kind: "metadata", category, path: ["/metadata", category, ...rest].join("/") };
}

function identityRoute(second: string, rest: readonly string[]): Route {
  if (second !== "identity") return { kind: "unknown-identity-path" };
  if (rest.length === 2 && rest[0] === "oauth2" && rest[1] === "token") return { kind: "token" };
  if (rest.length === 1 && rest[0] === "info") {
    return { kind: "metadata", category: "identity-info", path: "/metadata/identity/info" };
  }
  return { kind: "unknown-identity-path" };
}

type PlainCategory = Exclude<MetadataCategory, "root" | "identity-info">;

function isPlainCategory(text: string): text is PlainCategory {
  return (
    text === "instance" ||
    text === "versions" ||
    text === "attested" ||
    text === "scheduledevents" ||
    text === "loadbalancer"
  );
}
