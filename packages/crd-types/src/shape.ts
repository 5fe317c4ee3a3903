import { Validator } from "@cfworker/json-schema";
import { isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { Kind } from "./kind.ts";
import { fieldError } from "./result.ts";
import type { FieldError } from "./result.ts";
import { toJsonSchema } from "./schema.ts";
import type { Schema } from "./schema.ts";
import { SCHEMAS } from "./schemas.ts";

/** Keywords under which the validator only repeats what it says about something further inside. */
const CONTAINERS: ReadonlySet<string> = new Set(["properties", "additionalProperties", "items", "false"]);

/** Where an object departs from its kind's schema, in other words what the API server would refuse. */
export function shapeErrors(kind: Kind, object: JsonObject): FieldError[] {
  const schema = SCHEMAS[kind];
  const validator = new Validator(toJsonSchema(schema), "2020-12", false);
  return validator
    .validate(withoutUndefined(object))
    .errors.filter(({ keyword }) => !CONTAINERS.has(keyword))
    .map(({ instanceLocation }) => {
      const path = pointerPath(instanceLocation);
      const expected = schemaAt(schema, path);
      return fieldError(fieldName(path), valueAt(object, path), `must be ${describe(expected)}`);
    });
}

/** The validator takes JSON, where a member that is `undefined` is an absent one, and cannot make pointers of halved surrogates. */
function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries.map(([key, member]) => [key.toWellFormed(), withoutUndefined(member)]));
}

/** `#/spec/auxiliaryTenantIDs/0` → `["spec", "auxiliaryTenantIDs", "0"]`. */
function pointerPath(location: string): string[] {
  return location
    .split("/")
    .slice(1)
    .map((step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~"));
}

function fieldName(path: readonly string[]): string {
  if (path.length === 0) return "object";
  return path.map((step, i) => (/^\d+$/.test(step) ? `[${step}]` : i === 0 ? step : `.${step}`)).join("");
}

function valueAt(object: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<string, unknown> | undefined)?.[step], object);
}

function schemaAt(schema: Schema, path: readonly string[]): Schema | undefined {
  return path.reduce<Schema | undefined>(
    (outer, step) => outer?.properties?.[step] ?? outer?.additionalProperties ?? outer?.items,
    schema,
  );
}

const NOUNS = { object: "an object", array: "a list", string: "a string", integer: "an integer" } as const;

function describe(schema: Schema | undefined): string {
  const noun = schema?.type === undefined ? "something else" : NOUNS[schema.type];
  return schema?.format === "int32" ? `${noun} of 32 bits` : noun;
}
