import { isDeepStrictEqual } from "node:util";
import { isObject } from "./json.ts";
import type { Schema } from "./schema.ts";
import { jsonType } from "./schema.ts";
import type { Cause } from "./status.ts";

/** Checks a value against a schema. Reasons and texts are those of apiextensions-apiserver's schema validation. */
export function validateSchema(schema: Schema, value: unknown, path = ""): Cause[] {
  const causes: Cause[] = [];
  if (value === null && schema.nullable === true) return causes;
  const actual = jsonType(value);
  const wanted = wrongType(schema, actual);
  if (wanted !== undefined) {
    return [
      invalidAt(
        path,
        "FieldValueTypeInvalid",
        JSON.stringify(actual),
        `must be of type ${wanted}: ${JSON.stringify(actual)}`,
      ),
    ];
  }
  if (schema.enum !== undefined && !schema.enum.some((allowed) => isDeepStrictEqual(allowed, value))) {
    const supported = schema.enum.map((allowed) =>
      JSON.stringify(typeof allowed === "string" ? allowed : JSON.stringify(allowed)),
    );
    causes.push({
      reason: "FieldValueNotSupported",
      field: path,
      message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported.join(", ")}`,
    });
  }
  if (typeof value === "string") causes.push(...validateString(schema, value, path));
  if (typeof value === "number") causes.push(...validateNumber(schema, value, path));
  if (Array.isArray(value)) causes.push(...validateArray(schema, value, path));
  else if (isObject(value)) causes.push(...validateObject(schema, value, path));
  causes.push(...validateCombinations(schema, value, path));
  return causes;
}

function wrongType(schema: Schema, actual: string): string | undefined {
  if (schema["x-kubernetes-int-or-string"] === true)
    return actual === "integer" || actual === "string" ? undefined : "integer,string";
  if (schema.type === undefined)
    return actual === "null" &&
      schema["x-kubernetes-preserve-unknown-fields"] !== true &&
      schema.properties !== undefined
      ? "object"
      : undefined;
  if (schema.type === actual || (schema.type === "number" && actual === "integer")) return undefined;
  return schema.type;
}

/** The first broken rule about a string's text is reported, and its format. */
function validateString(schema: Schema, value: string, path: string): Cause[] {
  const quoted = JSON.stringify(value);
  const causes: Cause[] = [];
  const text = textProblem(schema, value, path);
  if (text !== undefined) causes.push(text);
  if (schema.format !== undefined && FORMATS[schema.format]?.test(value) === false) {
    causes.push(invalidAt(path, "FieldValueTypeInvalid", quoted, `must be of type ${schema.format}: ${quoted}`));
  }
  return causes;
}

function textProblem(schema: Schema, value: string, path: string): Cause | undefined {
  const quoted = JSON.stringify(value);
  // Characters, not UTF-16 units.
  const length = Array.from(value).length;
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    return {
      reason: "FieldValueTooLong",
      field: path,
      message: `Too long: may not be more than ${schema.maxLength} bytes`,
    };
  }
  if (schema.minLength !== undefined && length < schema.minLength) {
    return invalidAt(path, "FieldValueInvalid", quoted, `should be at least ${schema.minLength} chars long`);
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value)) {
    return invalidAt(path, "FieldValueInvalid", quoted, `should match '${schema.pattern}'`);
  }
  return undefined;
}

/** The formats that apiextensions checks and that somebody relies on; others are let through, as there. */
const FORMATS: Readonly<Record<string, RegExp>> = {
  "date-time": /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/,
  date: /^\d{4}-\d{2}-\d{2}$/,
  uuid: /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
  byte: /^[A-Za-z0-9+/]*={0,2}$/,
};

function validateNumber(schema: Schema, value: number, path: string): Cause[] {
  const causes: Cause[] = [];
  const { minimum, maximum, multipleOf } = schema;
  const bad = (why: string): void => void causes.push(invalidAt(path, "FieldValueInvalid", String(value), why));
  if (minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    bad(
      schema.exclusiveMinimum === true
        ? `should be greater than ${minimum}`
        : `should be greater than or equal to ${minimum}`,
    );
  }
  if (maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    bad(
      schema.exclusiveMaximum === true
        ? `should be less than ${maximum}`
        : `should be less than or equal to ${maximum}`,
    );
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) bad(`should be a multiple of ${multipleOf}`);
  return causes;
}

function validateArray(schema: Schema, value: readonly unknown[], path: string): Cause[] {
  const causes: Cause[] = [];
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    causes.push({
      reason: "FieldValueTooMany",
      field: path,
      message: `Too many: ${value.length}: must have at most ${schema.maxItems} items`,
    });
  }
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    causes.push(
      invalidAt(path, "FieldValueInvalid", String(value.length), `should have at least ${schema.minItems} items`),
    );
  }
  if (schema.items !== undefined) {
    for (const [index, item] of value.entries())
      causes.push(...validateSchema(schema.items, item, `${path}[${index}]`));
  }
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const listType = schema["x-kubernetes-list-type"];
  if (schema.uniqueItems === true || listType === "set" || (listType === "map" && keys.length > 0)) {
    const seen = new Set<string>();
    for (const [index, item] of value.entries()) {
      const identity =
        listType === "map" && isObject(item) ? Object.fromEntries(keys.map((key) => [key, item[key]])) : item;
      const text = JSON.stringify(identity);
      if (seen.has(text))
        causes.push({ reason: "FieldValueDuplicate", field: `${path}[${index}]`, message: `Duplicate value: ${text}` });
      seen.add(text);
    }
  }
  return causes;
}

function validateObject(schema: Schema, value: Record<string, unknown>, path: string): Cause[] {
  const causes: Cause[] = [];
  const below = (field: string): string => (path === "" ? field : `${path}.${field}`);
  for (const field of schema.required ?? []) {
    if (!Object.hasOwn(value, field))
      causes.push({ reason: "FieldValueRequired", field: below(field), message: "Required value" });
  }
  const count = Object.keys(value).length;
  if (schema.maxProperties !== undefined && count > schema.maxProperties) {
    causes.push({
      reason: "FieldValueTooMany",
      field: path,
      message: `Too many: ${count}: must have at most ${schema.maxProperties} items`,
    });
  }
  if (schema.minProperties !== undefined && count < schema.minProperties) {
    causes.push(
      invalidAt(path, "FieldValueInvalid", String(count), `should have at least ${schema.minProperties} properties`),
    );
  }
  for (const [field, item] of Object.entries(value)) {
    // ObjectMeta is checked by its own rules, whatever a schema says about it.
    if (path === "" && field === "metadata") continue;
    const property =
      schema.properties !== undefined && Object.hasOwn(schema.properties, field)
        ? schema.properties[field]
        : schema.additionalProperties;
    if (isObject(property)) causes.push(...validateSchema(property, item, below(field)));
  }
  return causes;
}

function validateCombinations(schema: Schema, value: unknown, path: string): Cause[] {
  const causes: Cause[] = [];
  const passes = (candidate: Schema): boolean => validateSchema(candidate, value, path).length === 0;
  for (const part of schema.allOf ?? []) causes.push(...validateSchema(part, value, path));
  const shown = JSON.stringify(isObject(value) || Array.isArray(value) ? jsonType(value) : value);
  const bad = (why: string): void => void causes.push(invalidAt(path, "FieldValueInvalid", shown, why));
  if (schema.anyOf !== undefined && !schema.anyOf.some(passes)) bad("must validate at least one schema (anyOf)");
  if (schema.oneOf !== undefined) {
    const count = schema.oneOf.filter(passes).length;
    if (count === 0) bad("must validate one and only one schema (oneOf). Found none valid");
    else if (count > 1) bad(`must validate one and only one schema (oneOf). Found ${count} valid alternatives`);
  }
  if (schema.not !== undefined && passes(schema.not)) bad("must not validate the schema (not)");
  return causes;
}

function invalidAt(path: string, reason: string, value: string, why: string): Cause {
  return { reason, field: path, message: `Invalid value: ${value}: ${path} in body ${why}` };
}
