import { isObject } from "./json.ts";

/** The structural part of OpenAPI v3 that a CustomResourceDefinition may use. */
export interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly not?: Schema;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
}

const RESOURCE_FIELDS = new Set(["apiVersion", "kind", "metadata"]);

/** Removes what the schema does not name, in place, and returns the paths of what went. `root` objects keep apiVersion, kind and metadata. */
export function prune(schema: Schema, value: unknown, root = true): string[] {
  const removed: string[] = [];
  pruneAt(schema, value, "", root, removed);
  return removed;
}

function pruneAt(schema: Schema, value: unknown, path: string, resource: boolean, removed: string[]): void {
  if (Array.isArray(value)) {
    if (schema.items === undefined) return;
    for (const [index, item] of value.entries()) pruneAt(schema.items, item, `${path}[${index}]`, false, removed);
    return;
  }
  if (!isObject(value)) return;
  const keepsResource = resource || schema["x-kubernetes-embedded-resource"] === true;
  for (const field of Object.keys(value)) {
    if (keepsResource && RESOURCE_FIELDS.has(field)) continue;
    const here = path === "" ? field : `${path}.${field}`;
    const below = propertySchema(schema, field);
    if (below !== undefined) pruneAt(below, value[field], here, false, removed);
    else if (schema["x-kubernetes-preserve-unknown-fields"] !== true && schema.additionalProperties !== true) {
      delete value[field];
      removed.push(here);
    }
  }
}

function propertySchema(schema: Schema, field: string): Schema | undefined {
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, field)) return schema.properties[field];
  return isObject(schema.additionalProperties) ? schema.additionalProperties : undefined;
}

/** Drops nulls that may not be there and fills in defaults, in place. */
export function applyDefaults(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) applyDefaults(schema.items, item);
    return;
  }
  if (!isObject(value)) return;
  for (const [field, below] of Object.entries(schema.properties ?? {})) {
    const present = Object.hasOwn(value, field);
    const misplacedNull = present && value[field] === null && below.nullable !== true;
    if (misplacedNull) delete value[field];
    if (below.default !== undefined && (!present || misplacedNull)) value[field] = structuredClone(below.default);
    if (Object.hasOwn(value, field)) applyDefaults(below, value[field]);
  }
  if (isObject(schema.additionalProperties)) {
    for (const [field, item] of Object.entries(value)) {
      if (schema.properties?.[field] === undefined) applyDefaults(schema.additionalProperties, item);
    }
  }
}

/** Type of a JSON value in the words of OpenAPI. */
export function jsonType(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value === "object" ? "object" : typeof value;
}
