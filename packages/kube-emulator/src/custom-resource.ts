import { age } from "./duration.ts";
import type { Json, KubeObject } from "./json.ts";
import { at, isObject, listAt, textAt } from "./json.ts";
import { readJsonPath } from "./json-path.ts";
import type { Column, ResourceType } from "./resource-type.ts";
import { resourceType } from "./resource-type.ts";
import type { Schema } from "./schema.ts";
import type { Cause } from "./status.ts";

const AGE: Column = {
  name: "Age",
  type: "date",
  description:
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
  value: (object, now) => age(object.metadata.creationTimestamp, now),
};
const NAME: Column = { name: "Name", type: "string", format: "name", value: (object) => object.metadata.name };

/** apiextensions.k8s.io/v1 CustomResourceDefinition. */
export const CUSTOM_RESOURCE_DEFINITIONS = resourceType({
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  hasStatus: true,
  generation: "spec",
  unconditionalUpdate: false,
  columns: [NAME, { name: "Created At", type: "date", value: (object) => object.metadata.creationTimestamp }],
  validate: validateDefinition,
});

function validateDefinition(crd: KubeObject): Cause[] {
  const causes: Cause[] = [];
  const wanted = `${textAt(crd, "spec", "names", "plural")}.${textAt(crd, "spec", "group")}`;
  for (const path of [["group"], ["scope"], ["names", "plural"], ["names", "kind"]]) {
    if (textAt(crd, "spec", ...path) === "")
      causes.push({ reason: "FieldValueRequired", field: `spec.${path.join(".")}`, message: "Required value" });
  }
  if (causes.length === 0 && crd.metadata.name !== wanted) {
    causes.push({
      reason: "FieldValueInvalid",
      field: "metadata.name",
      message: `Invalid value: ${JSON.stringify(crd.metadata.name)}: must be spec.names.plural+"."+spec.group`,
    });
  }
  const versions = listAt(crd, "spec", "versions").filter(isObject);
  if (versions.filter((version) => version.storage === true).length !== 1) {
    causes.push({
      reason: "FieldValueInvalid",
      field: "spec.versions",
      message: "Invalid value: must have exactly one version marked as storage version",
    });
  }
  for (const [index, version] of versions.entries()) {
    if (!isObject(at(version, "schema", "openAPIV3Schema"))) {
      causes.push({
        reason: "FieldValueRequired",
        field: `spec.versions[${index}].schema.openAPIV3Schema`,
        message: "Required value: schemas are required",
      });
    }
  }
  return causes;
}

/** Fills in names that may be left out and the status that the apiextensions controllers would set. */
export function establish(crd: KubeObject, now: number): void {
  const names = at(crd, "spec", "names") as Json;
  const kind = textAt(names, "kind");
  names.singular ??= kind.toLowerCase();
  names.listKind ??= `${kind}List`;
  (crd.spec as Json).conversion ??= { strategy: "None" };
  const lastTransitionTime = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  const condition = (type: string, reason: string, message: string): Json => ({
    type,
    status: "True",
    lastTransitionTime,
    reason,
    message,
  });
  const known = listAt(crd, "status", "conditions");
  const storage = listAt(crd, "spec", "versions").find((version) => isObject(version) && version.storage === true);
  crd.status = {
    conditions:
      known.length > 0
        ? known
        : [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
          ],
    acceptedNames: names,
    storedVersions: [...new Set([...listAt(crd, "status", "storedVersions").map(String), textAt(storage, "name")])],
  };
}

/** One type per served version of a definition. */
export function typesOf(crd: KubeObject): ResourceType[] {
  const names = at(crd, "spec", "names");
  const group = textAt(crd, "spec", "group");
  const plural = textAt(names, "plural");
  const kind = textAt(names, "kind");
  const versions = listAt(crd, "spec", "versions").filter(isObject);
  const stored = textAt(
    versions.find((version) => version.storage === true),
    "name",
  );
  return versions
    .filter((version) => version.served === true)
    .map((version) => {
      const name = textAt(version, "name");
      return resourceType({
        group,
        version: name,
        plural,
        kind,
        namespaced: textAt(crd, "spec", "scope") === "Namespaced",
        singular: textAt(names, "singular") || kind.toLowerCase(),
        listKind: textAt(names, "listKind") || `${kind}List`,
        shortNames: listAt(names, "shortNames").map(String),
        categories: listAt(names, "categories").map(String),
        hasStatus: isObject(at(version, "subresources", "status")),
        generation: "content",
        unconditionalUpdate: false,
        custom: true,
        schema: at(version, "schema", "openAPIV3Schema") as Schema | undefined,
        columns: columnsOf(version),
        selectableFields: Object.fromEntries(
          listAt(version, "selectableFields").map((field) => {
            const path = textAt(field, "jsonPath");
            return [path.replace(/^\./, ""), (object: KubeObject) => firstText(path, object)];
          }),
        ),
        // Conversion "None": the versions differ in nothing but their name.
        view:
          name === stored
            ? undefined
            : {
                read: (object) => ({ ...object, apiVersion: `${group}/${name}` }),
                write: (object) => ({ ...object, apiVersion: `${group}/${stored}` }),
              },
      });
    });
}

function columnsOf(version: Json): Column[] {
  const columns = listAt(version, "additionalPrinterColumns").filter(isObject);
  if (columns.length === 0) return [NAME, AGE];
  return [
    NAME,
    ...columns.map((column): Column => {
      const path = textAt(column, "jsonPath");
      const type = textAt(column, "type");
      return {
        name: textAt(column, "name"),
        type,
        format: textAt(column, "format"),
        description: textAt(column, "description") || `Custom resource definition column (in JSONPath format): ${path}`,
        priority: typeof column.priority === "number" ? column.priority : 0,
        value: (object, now) => cell(path, type, object, now),
      };
    }),
  ];
}

function firstText(path: string, object: KubeObject): string {
  const [found] = readJsonPath(path, object);
  return typeof found === "string" ? found : found === undefined || found === null ? "" : JSON.stringify(found);
}

/** Null is what kubectl shows as an empty cell; dates become ages on the server. */
function cell(path: string, type: string, object: KubeObject, now: number): unknown {
  const found = readJsonPath(path, object);
  if (found.length === 0 || found[0] === null) return null;
  if (type === "date") return age(found[0], now);
  if (type === "integer" || type === "number") return Number(found[0]);
  if (type === "boolean") return found[0];
  return found.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(",");
}
