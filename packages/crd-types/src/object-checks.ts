import { API_VERSION } from "./constants.ts";
import { isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { Kind } from "./kind.ts";
import { LEGACY_SPEC_FIELDS, SPEC_FIELDS } from "./legacy-fields.ts";
import { failed, fieldError, ok } from "./result.ts";
import type { FieldError, Result } from "./result.ts";
import { shapeErrors } from "./shape.ts";

/** The parts of an object that checks look at, once its shape is known to be right. */
export interface CheckedObject {
  readonly metadata: JsonObject;
  readonly spec: JsonObject;
  readonly status: JsonObject;
}

/** Says what is wrong with an object that has the right shape. */
export type Check = (object: CheckedObject) => readonly FieldError[];

/**
 * Runs the schema, then what holds for all kinds, then `checks`; every error is reported at once. An object of the wrong shape is
 * not looked at any further.
 */
export function validateObject<T>(kind: Kind, object: unknown, checks: readonly Check[]): Result<T> {
  if (!isJsonObject(object)) return failed(fieldError("object", object, `must be an object of kind ${kind}`));
  const shape = [...headerErrors(kind, object), ...shapeErrors(kind, object)];
  if (shape.length > 0) return failed(...shape);
  const { metadata, spec, status } = object;
  const checked = { metadata: member(metadata), spec: member(spec), status: member(status) };
  const errors = [
    ...nameErrors(checked),
    ...unknownFields(kind, checked.spec),
    ...checks.flatMap((check) => check(checked)),
  ];
  return errors.length > 0 ? failed(...errors) : ok(object as T);
}

function member(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

function headerErrors(kind: Kind, object: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const { apiVersion, kind: actual, metadata, spec } = object;
  if (apiVersion !== undefined && apiVersion !== API_VERSION) {
    errors.push(fieldError("apiVersion", apiVersion, `must be ${API_VERSION}`));
  }
  if (actual !== undefined && actual !== kind) errors.push(fieldError("kind", actual, `must be ${kind}`));
  if (metadata === undefined) errors.push(fieldError("metadata", metadata, "give the object a name"));
  if (spec === undefined) errors.push(fieldError("spec", spec, "say what the object is for"));
  return errors;
}

// DNS-1123 subdomain, the form of names of custom resources.
const SUBDOMAIN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

export function isObjectName(text: unknown): text is string {
  return typeof text === "string" && text.length <= 253 && SUBDOMAIN.test(text);
}

function nameErrors({ metadata }: CheckedObject): FieldError[] {
  const { name } = metadata;
  if (isObjectName(name)) return [];
  return [fieldError("metadata.name", name, "must be lower-case letters, digits, '-' and '.', at most 253 characters")];
}

/** Fields that the API server drops without a word, most often because of their casing. */
function unknownFields(kind: Kind, spec: JsonObject): FieldError[] {
  const known: readonly string[] = SPEC_FIELDS[kind];
  return Object.keys(spec)
    .filter((field) => !known.includes(field))
    .map((field) => {
      const meant = LEGACY_SPEC_FIELDS[kind][field] ?? known.find((name) => name.toLowerCase() === field.toLowerCase());
      const fix = meant === undefined ? `remove it; ${kind} has ${known.join(", ")}` : `write spec.${meant}`;
      return fieldError(`spec.${field}`, spec[field], fix);
    });
}

// Values of labels: at most 63 letters, digits, '-', '_', '.', beginning and ending with a letter or digit.
const LABEL_VALUE = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

export function isLabelValue(text: string): boolean {
  return LABEL_VALUE.test(text);
}
