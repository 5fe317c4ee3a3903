import { age } from "./duration.ts";
import { EVENTS, NEW_STYLE_EVENTS } from "./event.ts";
import type { Json, KubeObject } from "./json.ts";
import { at, isObject, listAt, textAt } from "./json.ts";
import { PODS } from "./pod.ts";
import type { Cause } from "./status.ts";
import type { Column, ResourceType } from "./resource-type.ts";
import { resourceType } from "./resource-type.ts";
import { DAEMON_SETS, DEPLOYMENTS } from "./workload.ts";

const NAME: Column = { name: "Name", type: "string", format: "name", value: (object) => object.metadata.name };
const AGE: Column = {
  name: "Age",
  type: "string",
  value: (object, now) => age(object.metadata.creationTimestamp, now),
};

const text = (name: string, ...path: string[]): Column => ({
  name,
  type: "string",
  value: (object) => textAt(object, ...path),
});
const wide = (name: string, ...path: string[]): Column => ({
  name,
  type: "string",
  priority: 1,
  value: (object) => textAt(object, ...path) || "<none>",
});

function nodeStatus(node: KubeObject): string {
  const ready = listAt(node, "status", "conditions").find((condition) => textAt(condition, "type") === "Ready");
  const state = ready === undefined ? "Unknown" : textAt(ready, "status") === "True" ? "Ready" : "NotReady";
  return at(node, "spec", "unschedulable") === true ? `${state},SchedulingDisabled` : state;
}

function nodeRoles(node: KubeObject): string {
  const prefix = "node-role.kubernetes.io/";
  const roles = Object.keys(node.metadata.labels ?? {}).filter((label) => label.startsWith(prefix));
  return (
    roles
      .map((label) => label.slice(prefix.length))
      .toSorted()
      .join(",") || "<none>"
  );
}

const nodeAddress = (node: KubeObject, type: string): string =>
  textAt(
    listAt(node, "status", "addresses").find((address) => textAt(address, "type") === type),
    "address",
  ) || "<none>";

/** stringData is a write-only convenience: it lands in data, base64. */
function prepareSecret(object: KubeObject): void {
  object.type ??= "Opaque";
  if (!isObject(object.stringData)) return;
  const data: Json = isObject(object.data) ? object.data : {};
  for (const [key, value] of Object.entries(object.stringData))
    data[key] = Buffer.from(String(value)).toString("base64");
  object.data = data;
  delete object.stringData;
}

/** Maps of the kind's own that hold nothing but strings. */
function stringMaps(kind: string, ...fields: readonly string[]): (object: KubeObject) => string | undefined {
  return (object) => {
    for (const field of fields) {
      const map = object[field];
      if (map === undefined || map === null) continue;
      if (!isObject(map))
        return `json: cannot unmarshal ${typeof map} into Go struct field ${kind}.${field} of type map[string]string`;
      const wrong = Object.values(map).find((value) => typeof value !== "string");
      if (wrong !== undefined)
        return `json: cannot unmarshal ${typeof wrong} into Go struct field ${kind}.${field} of type string`;
    }
    return undefined;
  };
}

/** Lease durations are positive and transitions never negative. */
function validateLease(lease: KubeObject): Cause[] {
  const duration = at(lease, "spec", "leaseDurationSeconds");
  const transitions = at(lease, "spec", "leaseTransitions");
  const causes: Cause[] = [];
  if (typeof duration === "number" && duration <= 0) {
    causes.push({
      reason: "FieldValueInvalid",
      field: "spec.leaseDurationSeconds",
      message: `Invalid value: ${duration}: must be greater than 0`,
    });
  }
  if (typeof transitions === "number" && transitions < 0) {
    causes.push({
      reason: "FieldValueInvalid",
      field: "spec.leaseTransitions",
      message: `Invalid value: ${transitions}: must be greater than or equal to 0`,
    });
  }
  return causes;
}

const entries = (value: unknown): number => (isObject(value) ? Object.keys(value).length : 0);
const core = { group: "", version: "v1" } as const;
const rbac = { group: "rbac.authorization.k8s.io", version: "v1" } as const;
const createdAt: Column = { name: "Created At", type: "date", value: (object) => object.metadata.creationTimestamp };
const roleRef: Column = {
  name: "Role",
  type: "string",
  value: (object) => `${textAt(object, "roleRef", "kind")}/${textAt(object, "roleRef", "name")}`,
};

export const NAMESPACES = resourceType({
  ...core,
  plural: "namespaces",
  fields: ["spec", "status"],
  kind: "Namespace",
  namespaced: false,
  shortNames: ["ns"],
  hasStatus: true,
  statusTakesMetadata: true,
  verbs: ["create", "delete", "get", "list", "patch", "update", "watch"],
  columns: [NAME, text("Status", "status", "phase"), AGE],
  selectableFields: { "status.phase": (object) => textAt(object, "status", "phase") },
  prepareCreate: (object) => {
    object.metadata.labels = { ...object.metadata.labels, "kubernetes.io/metadata.name": object.metadata.name };
    object.spec = { finalizers: ["kubernetes"] };
    object.status = { phase: "Active" };
  },
});

export const NODES = resourceType({
  ...core,
  plural: "nodes",
  fields: ["spec", "status"],
  kind: "Node",
  namespaced: false,
  shortNames: ["no"],
  hasStatus: true,
  statusTakesMetadata: true,
  selectableFields: { "spec.unschedulable": (object) => String(at(object, "spec", "unschedulable") === true) },
  columns: [
    NAME,
    { name: "Status", type: "string", value: nodeStatus },
    { name: "Roles", type: "string", value: nodeRoles },
    AGE,
    text("Version", "status", "nodeInfo", "kubeletVersion"),
    { name: "Internal-IP", type: "string", priority: 1, value: (node) => nodeAddress(node, "InternalIP") },
    { name: "External-IP", type: "string", priority: 1, value: (node) => nodeAddress(node, "ExternalIP") },
    wide("OS-Image", "status", "nodeInfo", "osImage"),
    wide("Kernel-Version", "status", "nodeInfo", "kernelVersion"),
    wide("Container-Runtime", "status", "nodeInfo", "containerRuntimeVersion"),
  ],
});

export const SERVICE_ACCOUNTS = resourceType({
  ...core,
  plural: "serviceaccounts",
  fields: ["secrets", "imagePullSecrets", "automountServiceAccountToken"],
  kind: "ServiceAccount",
  namespaced: true,
  shortNames: ["sa"],
  returnsDeleted: true,
  columns: [NAME, { name: "Secrets", type: "string", value: (object) => listAt(object, "secrets").length }, AGE],
});

export const CONFIG_MAPS = resourceType({
  ...core,
  plural: "configmaps",
  fields: ["data", "binaryData", "immutable"],
  decodeError: stringMaps("ConfigMap", "data", "binaryData"),
  kind: "ConfigMap",
  namespaced: true,
  shortNames: ["cm"],
  columns: [
    NAME,
    { name: "Data", type: "string", value: (object) => entries(object.data) + entries(object.binaryData) },
    AGE,
  ],
});

export const SECRETS = resourceType({
  ...core,
  plural: "secrets",
  fields: ["data", "stringData", "type", "immutable"],
  decodeError: stringMaps("Secret", "data", "stringData"),
  kind: "Secret",
  namespaced: true,
  columns: [NAME, text("Type", "type"), { name: "Data", type: "string", value: (object) => entries(object.data) }, AGE],
  selectableFields: { type: (object) => textAt(object, "type") },
  prepareCreate: prepareSecret,
});

export const LEASES = resourceType({
  group: "coordination.k8s.io",
  version: "v1",
  plural: "leases",
  fields: ["spec"],
  validate: validateLease,
  kind: "Lease",
  namespaced: true,
  unconditionalUpdate: false,
  createOnUpdate: true,
  columns: [NAME, text("Holder", "spec", "holderIdentity"), AGE],
});

/** As an object only: nothing here has addresses. Old leader elections keep their record in its annotations. */
export const ENDPOINTS = resourceType({
  ...core,
  plural: "endpoints",
  fields: ["subsets"],
  kind: "Endpoints",
  namespaced: true,
  columns: [NAME, AGE],
});

/** Kept and shown so that charts apply; no role restricts anybody here. */
const RBAC: readonly ResourceType[] = [
  resourceType({ ...rbac, plural: "clusterroles", kind: "ClusterRole", namespaced: false, columns: [NAME, createdAt] }),
  resourceType({
    ...rbac,
    plural: "clusterrolebindings",
    kind: "ClusterRoleBinding",
    namespaced: false,
    columns: [NAME, roleRef, AGE],
  }),
  resourceType({ ...rbac, plural: "roles", kind: "Role", namespaced: true, columns: [NAME, createdAt] }),
  resourceType({
    ...rbac,
    plural: "rolebindings",
    kind: "RoleBinding",
    namespaced: true,
    columns: [NAME, roleRef, AGE],
  }),
];

/** Everything that is served before any CustomResourceDefinition exists. */
export const BUILTIN_RESOURCES: readonly ResourceType[] = [
  PODS,
  NAMESPACES,
  NODES,
  CONFIG_MAPS,
  SECRETS,
  SERVICE_ACCOUNTS,
  EVENTS,
  NEW_STYLE_EVENTS,
  LEASES,
  ENDPOINTS,
  DAEMON_SETS,
  DEPLOYMENTS,
  ...RBAC,
];
