import type { KubeObject } from "./json.ts";
import { isObject, textAt } from "./json.ts";
import type { Column, View } from "./resource-type.ts";
import { resourceType } from "./resource-type.ts";
import { age } from "./duration.ts";
import type { Cause } from "./status.ts";

/** The same events under both names: `regarding`, `note` and `reportingController` in events.k8s.io, the older words in core/v1. */
const PAIRS: readonly (readonly [string, string])[] = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["reportingComponent", "reportingController"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
];

function renamed(object: KubeObject, pairs: readonly (readonly [string, string])[], apiVersion: string): KubeObject {
  const result: KubeObject = { ...object, apiVersion, kind: "Event" };
  for (const [from, to] of pairs) {
    if (!(from in result)) continue;
    result[to] = result[from];
    delete result[from];
  }
  return result;
}

const NEW_EVENTS: View = {
  read: (stored) => renamed(stored, PAIRS, "events.k8s.io/v1"),
  write: (seen) =>
    renamed(
      seen,
      PAIRS.map(([old, now]) => [now, old] as const),
      "v1",
    ),
};

function lastSeen(event: KubeObject, now: number): string {
  const series = isObject(event.series) ? textAt(event.series, "lastObservedTime") : "";
  return age(
    series || textAt(event, "lastTimestamp") || textAt(event, "eventTime") || event.metadata.creationTimestamp,
    now,
  );
}

const COLUMNS: readonly Column[] = [
  { name: "Last Seen", type: "string", value: lastSeen },
  { name: "Type", type: "string", value: (event) => textAt(event, "type") },
  { name: "Reason", type: "string", value: (event) => textAt(event, "reason") },
  {
    name: "Object",
    type: "string",
    value: (event) =>
      `${textAt(event, "involvedObject", "kind").toLowerCase()}/${textAt(event, "involvedObject", "name")}`,
  },
  { name: "Subobject", type: "string", priority: 1, value: (event) => textAt(event, "involvedObject", "fieldPath") },
  {
    name: "Source",
    type: "string",
    priority: 1,
    value: (event) => textAt(event, "source", "component") || textAt(event, "reportingComponent"),
  },
  { name: "Message", type: "string", value: (event) => textAt(event, "message").trim() },
  {
    name: "First Seen",
    type: "string",
    priority: 1,
    value: (event, now) => age(textAt(event, "firstTimestamp") || textAt(event, "eventTime"), now),
  },
  {
    name: "Count",
    type: "string",
    priority: 1,
    value: (event) => (typeof event.count === "number" && event.count > 0 ? event.count : 1),
  },
  { name: "Name", type: "string", format: "name", priority: 1, value: (event) => event.metadata.name },
];

const COMMON = {
  plural: "events",
  kind: "Event",
  namespaced: true,
  shortNames: ["ev"],
  storage: "/events",
  createOnUpdate: true,
} as const;

function validateEvent(event: KubeObject): Cause[] {
  const about = textAt(event, "involvedObject", "namespace") || textAt(event, "regarding", "namespace");
  const own = event.metadata.namespace;
  // Events about cluster-scoped objects live in "default".
  if (about === own || (about === "" && own === "default")) return [];
  return [
    {
      reason: "FieldValueInvalid",
      field: "involvedObject.namespace",
      message: `Invalid value: ${JSON.stringify(about)}: does not match event.namespace`,
    },
  ];
}

/** core/v1 Event. */
export const EVENTS = resourceType({
  ...COMMON,
  group: "",
  version: "v1",
  prepareCreate: (event) => {
    event.eventTime ??= null;
    event.reportingComponent ??= "";
    event.reportingInstance ??= "";
  },
  validate: validateEvent,
  columns: COLUMNS,
  selectableFields: {
    ...Object.fromEntries(
      ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map((field) => [
        `involvedObject.${field}`,
        (event: KubeObject) => textAt(event, "involvedObject", field),
      ]),
    ),
    reason: (event) => textAt(event, "reason"),
    reportingComponent: (event) => textAt(event, "reportingComponent"),
    source: (event) => textAt(event, "source", "component") || textAt(event, "reportingComponent"),
    type: (event) => textAt(event, "type"),
  },
});

/** events.k8s.io/v1 Event: a view of the same objects. */
export const NEW_STYLE_EVENTS = resourceType({
  ...COMMON,
  group: "events.k8s.io",
  version: "v1",
  validate: validateEvent,
  view: NEW_EVENTS,
  columns: COLUMNS.map((column) => ({
    ...column,
    value: (event, now) => column.value(NEW_EVENTS.write(event, undefined), now),
  })),
  selectableFields: {
    ...Object.fromEntries(
      ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map((field) => [
        `regarding.${field}`,
        (event: KubeObject) => textAt(event, "regarding", field),
      ]),
    ),
    reason: (event) => textAt(event, "reason"),
    reportingController: (event) => textAt(event, "reportingController"),
    type: (event) => textAt(event, "type"),
  },
});
