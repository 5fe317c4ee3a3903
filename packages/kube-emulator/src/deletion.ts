import type { KubeObject } from "./json.ts";
import { copy, isObject, textAt } from "./json.ts";
import { timestamp } from "./object-meta.ts";
import type { ResourceStorage } from "./resource-storage.ts";
import type { ResourceType } from "./resource-type.ts";
import type { StatusDetails } from "./status.ts";
import { conflict, invalid } from "./status.ts";
import type { StoredRecord } from "./store.ts";

/** meta/v1 DeleteOptions, from body or query. */
export interface DeleteOptions {
  readonly gracePeriodSeconds: number | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly propagationPolicy: string | undefined;
  readonly dryRun: boolean;
}

export function deleteOptions(query: URLSearchParams, body: unknown): DeleteOptions {
  const options = isObject(body) ? body : {};
  const preconditions = isObject(options.preconditions) ? options.preconditions : {};
  const grace = options.gracePeriodSeconds ?? query.get("gracePeriodSeconds") ?? undefined;
  const asked = options.propagationPolicy ?? query.get("propagationPolicy") ?? undefined;
  const policy = asked === undefined || typeof asked === "string" ? asked : JSON.stringify(asked);
  if (policy !== undefined && !["Orphan", "Background", "Foreground"].includes(policy)) {
    const message = `Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"`;
    throw invalid({ group: "meta.k8s.io", kind: "DeleteOptions" }, "", [
      { reason: "FieldValueNotSupported", field: "propagationPolicy", message },
    ]);
  }
  const dryRun = Array.isArray(options.dryRun) ? options.dryRun : query.getAll("dryRun");
  return {
    gracePeriodSeconds: grace === undefined ? undefined : Number(grace),
    uid: typeof preconditions.uid === "string" ? preconditions.uid : undefined,
    resourceVersion: typeof preconditions.resourceVersion === "string" ? preconditions.resourceVersion : undefined,
    propagationPolicy: policy === undefined ? (options.orphanDependents === true ? "Orphan" : undefined) : policy,
    dryRun: dryRun.includes("All"),
  };
}

/** Whether an object that is being deleted still waits for somebody: a finalizer's owner, or the kubelet. */
export function pendingDeletion(object: KubeObject): "no" | "waiting" | "due" {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (deletionTimestamp === undefined) return "no";
  if ((finalizers ?? []).length > 0 || (deletionGracePeriodSeconds ?? 0) > 0) return "waiting";
  return (object.spec as { finalizers?: unknown[] } | undefined)?.finalizers?.length ? "waiting" : "due";
}

export interface Deleted {
  /** The last or present state. */
  readonly record: StoredRecord;
  /** False while finalizers or a grace period keep the object. */
  readonly gone: boolean;
  readonly details: StatusDetails;
}

/** Deletes, or marks as being deleted (rest.BeforeDelete and registry.Store.Delete of kube-apiserver). */
export function deleteObject(
  storage: ResourceStorage,
  type: ResourceType,
  namespace: string,
  name: string,
  options: DeleteOptions,
): Deleted {
  const record = storage.get(type, namespace, name);
  const { metadata } = record.object;
  if (options.uid !== undefined && options.uid !== metadata.uid) {
    const why = `the UID in the precondition (${options.uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`;
    throw conflict({ ...type, plural: type.kind }, name, why);
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== metadata.resourceVersion) {
    const why = `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`;
    throw conflict({ ...type, plural: type.kind }, name, why);
  }

  const details = {
    name,
    ...(type.group === "" ? {} : { group: type.group }),
    kind: type.plural,
    uid: String(metadata.uid),
  };
  const next = copy(record.object);
  const period = gracePeriod(type, record.object, options);
  const finalizers = withPropagation(metadata.finalizers ?? [], options.propagationPolicy);
  if (finalizers.length > 0) next.metadata.finalizers = finalizers;
  else delete next.metadata.finalizers;

  if (metadata.deletionTimestamp === undefined) {
    next.metadata.deletionTimestamp = timestamp(storage.now() + period * 1000);
    next.metadata.deletionGracePeriodSeconds = period;
    if (next.metadata.generation !== undefined) next.metadata.generation += 1;
  } else if (period < (metadata.deletionGracePeriodSeconds ?? 0)) {
    // Only ever sooner, never later.
    const shortened =
      Date.parse(metadata.deletionTimestamp) - ((metadata.deletionGracePeriodSeconds ?? 0) - period) * 1000;
    next.metadata.deletionTimestamp = timestamp(Math.max(shortened, 0));
    next.metadata.deletionGracePeriodSeconds = period;
  }
  if (type.storage === "/namespaces")
    next.status = { ...(isObject(next.status) ? next.status : {}), phase: "Terminating" };

  const gone = pendingDeletion(next) === "due";
  if (options.dryRun) return { record, gone, details };
  if (gone) {
    // Where there is neither grace nor a finalizer nobody ever sees a deletionTimestamp, pods excepted.
    const last = metadata.deletionTimestamp === undefined && type.storage !== "/pods" ? record.object : next;
    return { record: storage.store.remove(type.storage, record.key, last), gone, details };
  }
  if (JSON.stringify(next) === record.json) return { record, gone, details };
  return { record: storage.store.put(type.storage, record.key, next), gone, details };
}

/** Only pods leave gracefully, and only those that a node runs. */
function gracePeriod(type: ResourceType, object: KubeObject, options: DeleteOptions): number {
  if (type.storage !== "/pods") return 0;
  if (textAt(object, "spec", "nodeName") === "" || ["Succeeded", "Failed"].includes(textAt(object, "status", "phase")))
    return 0;
  const own =
    (object.spec as { terminationGracePeriodSeconds?: number } | undefined)?.terminationGracePeriodSeconds ?? 30;
  const period = options.gracePeriodSeconds ?? object.metadata.deletionGracePeriodSeconds ?? own;
  return period < 0 ? 1 : period;
}

function withPropagation(finalizers: readonly string[], policy: string | undefined): string[] {
  if (policy === undefined) return [...finalizers];
  const rest = finalizers.filter((finalizer) => finalizer !== "orphan" && finalizer !== "foregroundDeletion");
  if (policy === "Orphan") return [...rest, "orphan"];
  return policy === "Foreground" ? [...rest, "foregroundDeletion"] : rest;
}
