import type { Json, KubeObject } from "./json.ts";
import { at, isObject, listAt, textAt } from "./json.ts";
import { age } from "./duration.ts";
import { defaultPodSpec } from "./pod.ts";
import type { Column } from "./resource-type.ts";
import { resourceType } from "./resource-type.ts";
import type { Cause } from "./status.ts";

function number(object: KubeObject, ...path: string[]): number {
  const found = at(object, ...path);
  return typeof found === "number" ? found : 0;
}

const NAME: Column = { name: "Name", type: "string", format: "name", value: (object) => object.metadata.name };
const AGE: Column = {
  name: "Age",
  type: "string",
  value: (object, now) => age(object.metadata.creationTimestamp, now),
};

function wide(): Column[] {
  const containers = (object: KubeObject): readonly unknown[] =>
    listAt(object, "spec", "template", "spec", "containers");
  return [
    {
      name: "Containers",
      type: "string",
      priority: 1,
      value: (object) =>
        containers(object)
          .map((c) => textAt(c, "name"))
          .join(","),
    },
    {
      name: "Images",
      type: "string",
      priority: 1,
      value: (object) =>
        containers(object)
          .map((c) => textAt(c, "image"))
          .join(","),
    },
    {
      name: "Selector",
      type: "string",
      priority: 1,
      value: (object) => labelText(at(object, "spec", "selector", "matchLabels")),
    },
  ];
}

/** `a=b,c=d`, or `<none>`. */
export function labelText(labels: unknown): string {
  const entries = isObject(labels) ? Object.entries(labels) : [];
  return entries.length === 0 ? "<none>" : entries.map(([key, value]) => `${key}=${String(value)}`).join(",");
}

function validateTemplate(object: KubeObject): Cause[] {
  const selector = at(object, "spec", "selector", "matchLabels");
  const labels = at(object, "spec", "template", "metadata", "labels");
  if (!isObject(at(object, "spec", "selector")))
    return [{ reason: "FieldValueRequired", field: "spec.selector", message: "Required value" }];
  const matches = Object.entries(isObject(selector) ? selector : {}).every(
    ([key, value]) => isObject(labels) && labels[key] === value,
  );
  if (matches) return [];
  const text = JSON.stringify(labels ?? {});
  return [
    {
      reason: "FieldValueInvalid",
      field: "spec.template.metadata.labels",
      message: `Invalid value: ${text}: \`selector\` does not match template \`labels\``,
    },
  ];
}

/** apps/v1 DaemonSet: stored and shown; nothing makes pods from it. */
export const DAEMON_SETS = resourceType({
  group: "apps",
  version: "v1",
  plural: "daemonsets",
  fields: ["spec", "status"],
  kind: "DaemonSet",
  namespaced: true,
  shortNames: ["ds"],
  categories: ["all"],
  hasStatus: true,
  statusTakesMetadata: true,
  generation: "spec",
  validate: validateTemplate,
  prepareCreate: (object) => {
    const spec = (object.spec ??= {}) as Json;
    spec.updateStrategy ??= { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } };
    const template = at(spec, "template", "spec");
    if (isObject(template)) defaultPodSpec(template);
    spec.revisionHistoryLimit ??= 10;
    object.status = { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 };
  },
  columns: [
    NAME,
    { name: "Desired", type: "integer", value: (object) => number(object, "status", "desiredNumberScheduled") },
    { name: "Current", type: "integer", value: (object) => number(object, "status", "currentNumberScheduled") },
    { name: "Ready", type: "integer", value: (object) => number(object, "status", "numberReady") },
    { name: "Up-to-date", type: "integer", value: (object) => number(object, "status", "updatedNumberScheduled") },
    { name: "Available", type: "integer", value: (object) => number(object, "status", "numberAvailable") },
    {
      name: "Node Selector",
      type: "string",
      value: (object) => labelText(at(object, "spec", "template", "spec", "nodeSelector")),
    },
    AGE,
    ...wide(),
  ],
});

/** apps/v1 Deployment: stored and shown; nothing makes pods from it. */
export const DEPLOYMENTS = resourceType({
  group: "apps",
  version: "v1",
  plural: "deployments",
  fields: ["spec", "status"],
  kind: "Deployment",
  namespaced: true,
  shortNames: ["deploy"],
  categories: ["all"],
  hasStatus: true,
  statusTakesMetadata: true,
  generation: "spec",
  validate: validateTemplate,
  prepareCreate: (object) => {
    const spec = (object.spec ??= {}) as Json;
    spec.replicas ??= 1;
    spec.strategy ??= { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" } };
    const template = at(spec, "template", "spec");
    if (isObject(template)) defaultPodSpec(template);
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    object.status = {};
  },
  columns: [
    NAME,
    {
      name: "Ready",
      type: "string",
      value: (object) => `${number(object, "status", "readyReplicas")}/${number(object, "spec", "replicas")}`,
    },
    { name: "Up-to-date", type: "integer", value: (object) => number(object, "status", "updatedReplicas") },
    { name: "Available", type: "integer", value: (object) => number(object, "status", "availableReplicas") },
    AGE,
    ...wide(),
  ],
});
