import type { Json, KubeObject } from "./json.ts";
import { copy, isObject, listAt, textAt } from "./json.ts";
import { timestamp } from "./object-meta.ts";
import { PODS } from "./pod.ts";
import type { ResourceStorage, WriteOptions } from "./resource-storage.ts";
import { ApiError, badRequest, conflict } from "./status.ts";

/** `POST pods/NAME/binding`: gives a pod to a node, once. */
export function bindPod(
  storage: ResourceStorage,
  namespace: string,
  name: string,
  body: unknown,
  options: WriteOptions,
): void {
  const node = textAt(body, "target", "name");
  const kind = textAt(body, "target", "kind");
  // Binding has no kind of its own to be invalid: kube-apiserver answers a bare 500.
  if (node === "") throw new ApiError(500, "", "target.name: Required value");
  if (kind !== "" && kind !== "Node")
    throw badRequest(`target.kind ${JSON.stringify(kind)} is not supported: use "Node"`);
  const pod = storage.get(PODS, namespace, name).object;
  const binding = { group: "", plural: "pods/binding", kind: "Binding" };
  const uid = textAt(body, "metadata", "uid");
  if (uid !== "" && uid !== pod.metadata.uid) {
    throw conflict(
      binding,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`,
    );
  }
  if (pod.metadata.deletionTimestamp !== undefined)
    throw conflict(binding, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  const present = textAt(pod, "spec", "nodeName");
  if (present !== "")
    throw conflict(binding, name, `pod ${name} is already assigned to node ${JSON.stringify(present)}`);

  const next: KubeObject = copy(pod);
  (next.spec as Json).nodeName = node;
  const annotations = isObject(body) ? (body as unknown as KubeObject).metadata?.annotations : undefined;
  if (annotations !== undefined) next.metadata.annotations = { ...next.metadata.annotations, ...annotations };
  const status: Json = isObject(next.status) ? next.status : {};
  const conditions = listAt(status, "conditions").filter((condition) => textAt(condition, "type") !== "PodScheduled");
  status.conditions = [
    ...conditions,
    { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: timestamp(storage.now()) },
  ];
  next.status = status;
  if (!options.dryRun) storage.store.put(PODS.storage, `${namespace}/${name}`, next);
}
