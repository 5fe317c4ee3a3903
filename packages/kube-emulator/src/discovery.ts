import type { Json } from "./json.ts";
import type { Registry } from "./registry.ts";
import type { ResourceType } from "./resource-type.ts";
import { apiVersionOf } from "./resource-type.ts";

/** The release whose behaviour is reproduced. */
export const VERSION: Json = {
  major: "1",
  minor: "35",
  gitVersion: "v1.35.4+emulator",
  gitCommit: "0000000000000000000000000000000000000000",
  gitTreeState: "clean",
  buildDate: "2026-01-01T00:00:00Z",
  goVersion: "none",
  compiler: "none",
  platform: "linux/amd64",
};

/** Virtual kinds that can only be created, and the subresources with a kind of their own. */
export interface SubresourceFacts {
  readonly name: string;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

const SUBRESOURCES: Readonly<Record<string, readonly SubresourceFacts[]>> = {
  "/pods": [
    { name: "binding", kind: "Binding", verbs: ["create"] },
    { name: "eviction", kind: "Eviction", group: "policy", version: "v1", verbs: ["create"] },
    { name: "log", kind: "Pod", verbs: ["get"] },
  ],
  "/serviceaccounts": [
    { name: "token", kind: "TokenRequest", group: "authentication.k8s.io", version: "v1", verbs: ["create"] },
  ],
};

/** Resources without storage: `apiVersion` → plural and kind. */
export const REVIEWS: Readonly<Record<string, readonly { readonly plural: string; readonly kind: string }[]>> = {
  "authentication.k8s.io/v1": [
    { plural: "tokenreviews", kind: "TokenReview" },
    { plural: "selfsubjectreviews", kind: "SelfSubjectReview" },
  ],
  "authorization.k8s.io/v1": [
    { plural: "selfsubjectaccessreviews", kind: "SelfSubjectAccessReview" },
    { plural: "subjectaccessreviews", kind: "SubjectAccessReview" },
  ],
};

/** `GET /api/v1` and `GET /apis/GROUP/VERSION`; undefined for what is not served. */
export function resourceList(registry: Registry, groupVersion: string): Json | undefined {
  const types = registry.groupVersions().get(groupVersion) ?? [];
  const reviews = REVIEWS[groupVersion] ?? [];
  if (types.length === 0 && reviews.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion,
    resources: [
      ...types.flatMap(resourceEntries),
      ...reviews.map(({ plural, kind }) => ({
        name: plural,
        singularName: kind.toLowerCase(),
        namespaced: false,
        kind,
        verbs: ["create"],
      })),
    ],
  };
}

function resourceEntries(type: ResourceType): Json[] {
  const entry: Json = {
    name: type.plural,
    singularName: type.singular,
    namespaced: type.namespaced,
    kind: type.kind,
    verbs: type.verbs,
  };
  if (type.shortNames.length > 0) entry.shortNames = type.shortNames;
  if (type.categories.length > 0) entry.categories = type.categories;
  const below = (facts: SubresourceFacts): Json => ({
    name: `${type.plural}/${facts.name}`,
    singularName: "",
    namespaced: type.namespaced,
    ...(facts.group === undefined ? {} : { group: facts.group, version: facts.version }),
    kind: facts.kind,
    verbs: facts.verbs,
  });
  const status = type.hasStatus ? [below({ name: "status", kind: type.kind, verbs: ["get", "patch", "update"] })] : [];
  return [entry, ...status, ...(type.view === undefined ? (SUBRESOURCES[type.storage] ?? []).map(below) : [])];
}

/** `GET /apis`. */
export function groupList(registry: Registry): Json {
  return { kind: "APIGroupList", apiVersion: "v1", groups: groups(registry) };
}

/** `GET /apis/GROUP`. */
export function group(registry: Registry, name: string): Json | undefined {
  const found = groups(registry).find((candidate) => candidate.name === name);
  return found === undefined ? undefined : { kind: "APIGroup", apiVersion: "v1", ...found };
}

function groups(registry: Registry): Json[] {
  const versions = new Map<string, { groupVersion: string; version: string }[]>();
  for (const groupVersion of groupVersions(registry)) {
    const [name, version] = groupVersion.split("/");
    if (version === undefined || name === undefined) continue;
    versions.set(name, [...(versions.get(name) ?? []), { groupVersion, version }]);
  }
  return [...versions].map(([name, list]) => ({ name, versions: list, preferredVersion: list[0] }));
}

/** Every served `apiVersion`. */
export function groupVersions(registry: Registry): string[] {
  return [...new Set([...registry.all().map(apiVersionOf), ...Object.keys(REVIEWS)])];
}
