import type { KubeObject } from "./json.ts";
import type { Schema } from "./schema.ts";
import type { Cause } from "./status.ts";

/** A column of `kubectl get`; `priority` above 0 only with `-o wide`. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
  readonly value: (object: KubeObject, now: number) => unknown;
}

/** What the server has to know about one version of one resource. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** `group/plural` under which objects are kept; versions and views of one resource share it. */
  readonly storage: string;
  /** Served with a `status` subresource: writes to the object keep the status, writes to the status keep the rest. */
  readonly hasStatus: boolean;
  /** For built-ins of the older kind (pods, nodes) a status update also takes labels and annotations. */
  readonly statusTakesMetadata: boolean;
  /** What raises `metadata.generation`: a changed spec, anything but metadata and status, or nothing. */
  readonly generation: "spec" | "content" | "none";
  /** PUT without a resourceVersion overwrites; otherwise it is a 422. */
  readonly unconditionalUpdate: boolean;
  /** PUT creates what is missing. */
  readonly createOnUpdate: boolean;
  readonly custom: boolean;
  /** Read-only and create-only virtual resources have fewer verbs. */
  readonly verbs: readonly string[];
  /** Deletion answers with the object instead of a Status. */
  readonly returnsDeleted: boolean;
  readonly selectableFields: Readonly<Record<string, (object: KubeObject) => string>>;
  readonly columns: readonly Column[];
  /** Custom resources: their schema. */
  readonly schema: Schema | undefined;
  /** Built-ins: the fields beside apiVersion, kind and metadata; below them nothing is checked. */
  readonly fields: readonly string[] | undefined;
  readonly view: View | undefined;
  readonly prepareCreate: ((object: KubeObject, now: number) => void) | undefined;
  /** What the typed decoder would refuse, in its words. */
  readonly decodeError: ((object: KubeObject) => string | undefined) | undefined;
  readonly validate: ((object: KubeObject, old: KubeObject | undefined) => readonly Cause[]) | undefined;
}

/** Another shape of the stored object: a further version, or events.k8s.io. */
export interface View {
  read(stored: KubeObject): KubeObject;
  write(seen: KubeObject, stored: KubeObject | undefined): KubeObject;
}

export const ALL_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] as const;

/** A full type from the facts that are not the usual ones. */
export function resourceType(
  facts: Pick<ResourceType, "group" | "version" | "plural" | "kind" | "namespaced"> & Partial<ResourceType>,
): ResourceType {
  return {
    singular: facts.kind.toLowerCase(),
    listKind: `${facts.kind}List`,
    shortNames: [],
    categories: [],
    storage: `${facts.group}/${facts.plural}`,
    hasStatus: false,
    statusTakesMetadata: false,
    generation: "none",
    unconditionalUpdate: true,
    createOnUpdate: false,
    custom: false,
    verbs: ALL_VERBS,
    returnsDeleted: false,
    columns: [],
    schema: undefined,
    fields: undefined,
    view: undefined,
    prepareCreate: undefined,
    decodeError: undefined,
    validate: undefined,
    ...facts,
    selectableFields: {
      "metadata.name": (object) => object.metadata.name,
      ...(facts.namespaced ? { "metadata.namespace": (object: KubeObject) => object.metadata.namespace ?? "" } : {}),
      ...facts.selectableFields,
    },
  };
}

export function apiVersionOf(type: Pick<ResourceType, "group" | "version">): string {
  return type.group === "" ? type.version : `${type.group}/${type.version}`;
}

/** The stored object as this type shows it. */
export function shown(type: ResourceType, object: KubeObject): KubeObject {
  return type.view === undefined ? object : type.view.read(object);
}
