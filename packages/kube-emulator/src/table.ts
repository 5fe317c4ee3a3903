import type { Json, KubeObject } from "./json.ts";
import type { Column, ResourceType } from "./resource-type.ts";
import { age } from "./duration.ts";

const DEFAULT_COLUMNS: readonly Column[] = [
  { name: "Name", type: "string", format: "name", value: (object) => object.metadata.name },
  { name: "Age", type: "string", value: (object, now) => age(object.metadata.creationTimestamp, now) },
];

/** ObjectMeta's own documentation of the name, which every table repeats. */
const NAME_DESCRIPTION =
  "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

/** `None`, `Metadata` or `Object`: what each row carries besides its cells. */
export type RowObject = "None" | "Metadata" | "Object";

export function rowObject(query: URLSearchParams): RowObject {
  const asked = query.get("includeObject");
  return asked === "None" || asked === "Object" ? asked : "Metadata";
}

/** meta.k8s.io/v1 Table: what `kubectl get` prints. Only the first table of a watch has column definitions. */
export function table(
  type: ResourceType,
  objects: readonly KubeObject[],
  o: { metadata: Json; include: RowObject; now: number; definitions: boolean },
): Json {
  const columns = type.columns.length === 0 ? DEFAULT_COLUMNS : type.columns;
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: o.metadata,
    columnDefinitions: o.definitions
      ? columns.map(({ name, type: valueType, format, description, priority }) => ({
          name,
          type: valueType,
          format: format ?? "",
          description: description ?? (format === "name" ? NAME_DESCRIPTION : ""),
          priority: priority ?? 0,
        }))
      : null,
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.value(object, o.now)),
      object: o.include === "None" ? null : o.include === "Object" ? object : partialMetadata(object),
    })),
  };
}

/** meta.k8s.io/v1 PartialObjectMetadata of an object. */
export function partialMetadata(object: KubeObject): Json {
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
}
