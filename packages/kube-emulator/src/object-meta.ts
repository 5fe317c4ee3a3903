import { randomUUID, randomInt } from "node:crypto";
import type { KubeObject, ObjectMeta } from "./json.ts";
import { isObject } from "./json.ts";
import type { Cause } from "./status.ts";

/** RFC 3339 with whole seconds, as metav1.Time. */
export function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

/** What generateName may append: no vowels and nothing that looks like them, as in Kubernetes. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

export function generatedName(base: string): string {
  let suffix = "";
  for (let index = 0; index < 5; index++) suffix += ALPHABET[randomInt(ALPHABET.length)];
  return base.slice(0, 58) + suffix;
}

/** Sets what only the server sets on a new object. */
export function initialiseMeta(meta: ObjectMeta, now: number): void {
  meta.uid = randomUUID();
  meta.creationTimestamp = timestamp(now);
  delete meta.resourceVersion;
  delete meta.generation;
  delete meta.deletionTimestamp;
  delete meta.deletionGracePeriodSeconds;
  delete meta.selfLink;
}

/** Keeps what only the server may change. */
export function preserveMeta(meta: ObjectMeta, old: ObjectMeta): void {
  const fixed = [
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
  ] as const;
  for (const field of fixed) {
    if (old[field] === undefined) delete meta[field];
    else (meta as Record<string, unknown>)[field] = old[field];
  }
  delete meta.selfLink;
}

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const QUALIFIED_NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const NAME_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/** Checks names, labels, annotations and finalizers. `pathName` is for roles, whose names are free but for `/` and `%`. */
export function validateMeta(object: KubeObject, rule: "subdomain" | "label" | "path"): Cause[] {
  const causes: Cause[] = [];
  const { metadata } = object;
  const bad = (field: string, value: string, why: string): void =>
    void causes.push({
      reason: "FieldValueInvalid",
      field: `metadata.${field}`,
      message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
    });
  if (rule === "label" && metadata.name.includes(".")) bad("name", metadata.name, "must not contain dots");
  else if (rule === "label" && !LABEL.test(metadata.name)) bad("name", metadata.name, LABEL_TEXT);
  if (rule === "subdomain" && !SUBDOMAIN.test(metadata.name)) bad("name", metadata.name, SUBDOMAIN_TEXT);
  if (rule === "path" && /[/%]/.test(metadata.name)) bad("name", metadata.name, "may not contain '/' or '%'");
  const limit = rule === "label" ? 63 : 253;
  if (metadata.name.length > limit) bad("name", metadata.name, `must be no more than ${limit} characters`);
  for (const [label, value] of Object.entries(metadata.labels ?? {})) {
    badKey(label, (why) => bad("labels", label, why));
    if (value.length > 63) bad("labels", value, "must be no more than 63 characters");
    if (!LABEL_VALUE.test(value)) bad("labels", value, VALUE_TEXT);
  }
  for (const annotation of Object.keys(metadata.annotations ?? {}))
    badKey(annotation.toLowerCase(), (why) => bad("annotations", annotation, why));
  for (const finalizer of metadata.finalizers ?? []) badKey(finalizer, (why) => bad("finalizers", finalizer, why));
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries()) {
    for (const field of ["apiVersion", "kind", "name", "uid"] as const) {
      if (typeof owner[field] !== "string" || owner[field] === "") {
        causes.push({
          reason: "FieldValueInvalid",
          field: `metadata.ownerReferences[${index}].${field}`,
          message: `Invalid value: "": must not be empty`,
        });
      }
    }
  }
  return causes;
}

function badKey(key: string, report: (why: string) => void): void {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = key.slice(slash + 1);
  if (prefix !== undefined && !SUBDOMAIN.test(prefix)) report(`prefix part ${SUBDOMAIN_TEXT}`);
  if (name.length > 63) report("name part must be no more than 63 characters");
  if (!QUALIFIED_NAME.test(name)) report(NAME_TEXT);
}

/** Whether labels, annotations and finalizers have the JSON types that the typed decoder would insist on. */
export function metaTypeError(value: unknown): string | undefined {
  if (!isObject(value)) return "metadata: expected an object";
  for (const field of ["labels", "annotations"]) {
    const map = value[field];
    if (map === undefined || map === null) continue;
    if (!isObject(map)) return `cannot restore map from ${typeof map}: metadata.${field}`;
    const wrong = Object.entries(map).find(([, item]) => typeof item !== "string");
    if (wrong !== undefined)
      return `json: cannot unmarshal ${typeof wrong[1]} into Go struct field ObjectMeta.${field} of type string`;
  }
  for (const field of ["name", "namespace", "generateName", "resourceVersion", "uid"]) {
    if (value[field] !== undefined && value[field] !== null && typeof value[field] !== "string") {
      return `json: cannot unmarshal ${typeof value[field]} into Go struct field ObjectMeta.${field} of type string`;
    }
  }
  if (value.finalizers !== undefined && value.finalizers !== null && !Array.isArray(value.finalizers))
    return "json: cannot unmarshal metadata.finalizers into an array";
  return undefined;
}
