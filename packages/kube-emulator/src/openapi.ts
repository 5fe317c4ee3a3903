import { createHash } from "node:crypto";
import { groupVersions, VERSION } from "./discovery.ts";
import type { Json } from "./json.ts";
import type { Registry } from "./registry.ts";
import type { ResourceType } from "./resource-type.ts";
import { apiVersionOf } from "./resource-type.ts";

/** `GET /openapi/v3`: where the document of each group version is. */
export function openApiIndex(registry: Registry): Json {
  const paths = groupVersions(registry).map((groupVersion) => {
    const path = groupVersion.includes("/") ? `apis/${groupVersion}` : `api/${groupVersion}`;
    const hash = createHash("sha256")
      .update(JSON.stringify(openApiDocument(registry, groupVersion)))
      .digest("hex")
      .toUpperCase();
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }];
  });
  return { paths: Object.fromEntries(paths) };
}

/**
 * `GET /openapi/v3/apis/GROUP/VERSION`. Custom resources come with their schema, built-ins as open objects;
 * operations carry what clients look up: the kind and the `fieldValidation` and `dryRun` parameters.
 */
export function openApiDocument(registry: Registry, groupVersion: string): Json {
  const types = registry.groupVersions().get(groupVersion) ?? [];
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: VERSION.gitVersion },
    paths: Object.fromEntries(types.flatMap(pathsOf)),
    components: { schemas: Object.fromEntries(types.map((type) => [schemaName(type), schemaOf(type)])) },
  };
}

/** `GET /openapi/v2`, for older clients that look nowhere else. */
export function openApiV2(registry: Registry): Json {
  const types = registry.all();
  return {
    swagger: "2.0",
    info: { title: "Kubernetes", version: VERSION.gitVersion },
    paths: Object.fromEntries(types.flatMap(pathsOf)),
    definitions: Object.fromEntries(types.map((type) => [schemaName(type), schemaOf(type)])),
  };
}

function pathsOf(type: ResourceType): [string, Json][] {
  const root = type.group === "" ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const collection = `${root}/${type.namespaced ? "namespaces/{namespace}/" : ""}${type.plural}`;
  const kind = { group: type.group, version: type.version, kind: type.kind };
  const query = (name: string, schemaType = "string"): Json => ({
    name,
    in: "query",
    schema: { type: schemaType, uniqueItems: true },
  });
  const writing = [query("dryRun"), query("fieldManager"), query("fieldValidation")];
  const operation = (action: string, parameters: readonly Json[]): Json => ({
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": kind,
    operationId: `${action}${type.group.replaceAll(/[^a-z0-9]/gi, "")}${type.version}${type.kind}`,
    parameters,
    responses: { 200: { description: "OK" } },
  });
  const patch = {
    ...operation("patch", [...writing, query("force", "boolean")]),
    requestBody: { content: { "application/json-patch+json": {}, "application/merge-patch+json": {} } },
  };
  return [
    [
      collection,
      { get: operation("list", [query("labelSelector"), query("fieldSelector")]), post: operation("post", writing) },
    ],
    [
      `${collection}/{name}`,
      {
        get: operation("get", []),
        put: operation("put", writing),
        patch,
        delete: operation("delete", [query("dryRun")]),
      },
    ],
  ];
}

function schemaName(type: ResourceType): string {
  const group = type.group === "" ? "io.k8s.api.core" : type.group.split(".").toReversed().join(".");
  return `${group}.${type.version}.${type.kind}`;
}

function schemaOf(type: ResourceType): Json {
  const base: Json = type.schema === undefined ? { type: "object" } : { ...type.schema };
  return {
    ...base,
    "x-kubernetes-group-version-kind": [{ group: type.group, version: type.version, kind: type.kind }],
    description: `${type.kind} of ${apiVersionOf(type)}`,
  };
}
