import { isDeepStrictEqual } from "node:util";
import type { Json, KubeObject } from "./json.ts";
import { copy, isObject, listAt, textAt } from "./json.ts";
import type { Column } from "./resource-type.ts";
import { resourceType } from "./resource-type.ts";
import { age } from "./duration.ts";
import type { Cause } from "./status.ts";

function containersOf(object: KubeObject, list = "containers"): Json[] {
  return listAt(object, "spec", list).filter(isObject);
}

/** The defaults that kube-apiserver (v1.35) writes into a new pod, as far as somebody reads them. */
export function defaultPod(pod: KubeObject): void {
  const spec = isObject(pod.spec) ? pod.spec : {};
  pod.spec = spec;
  defaultPodSpec(spec);
  spec.enableServiceLinks ??= true;
  spec.preemptionPolicy ??= "PreemptLowerPriority";
  spec.priority ??= 0;
  if (spec.serviceAccountName === undefined || spec.serviceAccountName === "")
    spec.serviceAccountName = spec.serviceAccount ?? "default";
  spec.serviceAccount = spec.serviceAccountName;
  spec.tolerations ??= ["not-ready", "unreachable"].map((taint) => ({
    key: `node.kubernetes.io/${taint}`,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: 300,
  }));
  pod.status = { phase: "Pending", qosClass: qosClass(pod) };
}

/** The defaults of a pod's spec, in pods and in templates. */
export function defaultPodSpec(spec: Json): void {
  spec.restartPolicy ??= "Always";
  spec.terminationGracePeriodSeconds ??= 30;
  spec.dnsPolicy ??= "ClusterFirst";
  spec.securityContext ??= {};
  spec.schedulerName ??= "default-scheduler";
  const owner = { metadata: { name: "" }, spec };
  for (const container of [...containersOf(owner), ...containersOf(owner, "initContainers")]) {
    container.terminationMessagePath ??= "/dev/termination-log";
    container.terminationMessagePolicy ??= "File";
    container.resources ??= {};
    container.imagePullPolicy ??= /(:latest|^[^:@]*|\/[^:@/]*)$/.test(textAt(container, "image"))
      ? "Always"
      : "IfNotPresent";
    for (const port of listAt(container, "ports").filter(isObject)) port.protocol ??= "TCP";
  }
}

function qosClass(pod: KubeObject): string {
  const containers = [...containersOf(pod), ...containersOf(pod, "initContainers")];
  const asks = containers.map(({ resources }) => (isObject(resources) ? resources : {}));
  if (asks.every((ask) => !isObject(ask.requests) && !isObject(ask.limits))) return "BestEffort";
  const guaranteed = asks.every(
    (ask) =>
      isObject(ask.limits) &&
      "cpu" in ask.limits &&
      "memory" in ask.limits &&
      (ask.requests === undefined || isDeepStrictEqual(ask.requests, ask.limits)),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}

const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What the ServiceAccount admission plugin adds: the projected volume with token, CA and namespace. */
export function mountToken(pod: KubeObject, account: KubeObject, suffix: string): void {
  const spec = pod.spec as Json;
  if ((spec.automountServiceAccountToken ?? account.automountServiceAccountToken) === false) return;
  const name = `kube-api-access-${suffix}`;
  let mounted = false;
  for (const container of [...containersOf(pod), ...containersOf(pod, "initContainers")]) {
    const mounts = listAt(container, "volumeMounts");
    if (mounts.some((mount) => textAt(mount, "mountPath") === TOKEN_PATH)) continue;
    container.volumeMounts = [...mounts, { name, readOnly: true, mountPath: TOKEN_PATH }];
    mounted = true;
  }
  if (!mounted) return;
  const sources = [
    { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
    { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
    {
      downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] },
    },
  ];
  spec.volumes = [...listAt(spec, "volumes"), { name, projected: { sources, defaultMode: 420 } }];
}

const IMMUTABLE =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** The few rules of pod validation that somebody runs into: containers are named and have images, a spec stays as it is. */
export function validatePod(pod: KubeObject, old: KubeObject | undefined): Cause[] {
  const causes: Cause[] = [];
  const required = (field: string): void =>
    void causes.push({ reason: "FieldValueRequired", field, message: "Required value" });
  const containers = containersOf(pod);
  if (containers.length === 0) required("spec.containers");
  for (const [index, container] of containers.entries()) {
    if (textAt(container, "name") === "") required(`spec.containers[${index}].name`);
    if (textAt(container, "image") === "" && old === undefined) required(`spec.containers[${index}].image`);
  }
  if (old !== undefined && !isDeepStrictEqual(frozenPart(pod), frozenPart(old))) {
    causes.push({ reason: "FieldValueForbidden", field: "spec", message: `Forbidden: ${IMMUTABLE}` });
  }
  return causes;
}

function frozenPart(pod: KubeObject): unknown {
  const spec = copy(pod.spec) as Json;
  for (const field of ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"])
    delete spec[field];
  for (const list of ["containers", "initContainers"]) {
    for (const container of listAt(spec, list).filter(isObject)) delete container.image;
  }
  return spec;
}

/** STATUS as kubectl shows it (kubernetes/pkg/printers/internalversion, printPod). */
export function podStatusText(pod: KubeObject): string {
  let text = textAt(pod, "status", "reason") || textAt(pod, "status", "phase");
  for (const status of listAt(pod, "status", "containerStatuses")) {
    const waiting = textAt(status, "state", "waiting", "reason");
    const ended = textAt(status, "state", "terminated", "reason");
    if (waiting !== "") text = waiting;
    else if (ended !== "") text = ended;
  }
  return pod.metadata.deletionTimestamp === undefined ? text : "Terminating";
}

const COLUMNS: readonly Column[] = [
  { name: "Name", type: "string", format: "name", value: (pod) => pod.metadata.name },
  {
    name: "Ready",
    type: "string",
    value: (pod) =>
      `${listAt(pod, "status", "containerStatuses").filter((status) => isObject(status) && status.ready === true).length}/${containersOf(pod).length}`,
  },
  { name: "Status", type: "string", value: podStatusText },
  {
    name: "Restarts",
    type: "string",
    value: (pod) =>
      String(
        listAt(pod, "status", "containerStatuses").reduce<number>(
          (sum, status) =>
            sum + (isObject(status) && typeof status.restartCount === "number" ? status.restartCount : 0),
          0,
        ),
      ),
  },
  { name: "Age", type: "string", value: (pod, now) => age(pod.metadata.creationTimestamp, now) },
  { name: "IP", type: "string", priority: 1, value: (pod) => textAt(pod, "status", "podIP") || "<none>" },
  { name: "Node", type: "string", priority: 1, value: (pod) => textAt(pod, "spec", "nodeName") || "<none>" },
  {
    name: "Nominated Node",
    type: "string",
    priority: 1,
    value: (pod) => textAt(pod, "status", "nominatedNodeName") || "<none>",
  },
  { name: "Readiness Gates", type: "string", priority: 1, value: readinessGates },
];

function readinessGates(pod: KubeObject): string {
  const gates = listAt(pod, "spec", "readinessGates").map((gate) => textAt(gate, "conditionType"));
  if (gates.length === 0) return "<none>";
  const met = listAt(pod, "status", "conditions").filter(
    (condition) => gates.includes(textAt(condition, "type")) && textAt(condition, "status") === "True",
  );
  return `${met.length}/${gates.length}`;
}

/** core/v1 Pod. */
export const PODS = resourceType({
  group: "",
  version: "v1",
  plural: "pods",
  fields: ["spec", "status"],
  kind: "Pod",
  namespaced: true,
  shortNames: ["po"],
  categories: ["all"],
  hasStatus: true,
  statusTakesMetadata: true,
  generation: "spec",
  returnsDeleted: true,
  columns: COLUMNS,
  prepareCreate: defaultPod,
  validate: validatePod,
  selectableFields: {
    "spec.nodeName": (pod) => textAt(pod, "spec", "nodeName"),
    "spec.restartPolicy": (pod) => textAt(pod, "spec", "restartPolicy"),
    "spec.schedulerName": (pod) => textAt(pod, "spec", "schedulerName"),
    "spec.serviceAccountName": (pod) => textAt(pod, "spec", "serviceAccountName"),
    "spec.hostNetwork": (pod) => String((pod.spec as Json | undefined)?.hostNetwork === true),
    "status.phase": (pod) => textAt(pod, "status", "phase"),
    "status.podIP": (pod) => textAt(pod, "status", "podIP"),
    "status.nominatedNodeName": (pod) => textAt(pod, "status", "nominatedNodeName"),
  },
});
