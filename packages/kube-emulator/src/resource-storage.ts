import { isDeepStrictEqual } from "node:util";
import { establish } from "./custom-resource.ts";
import { pendingDeletion } from "./deletion.ts";
import type { Json, KubeObject } from "./json.ts";
import { copy, isObject } from "./json.ts";
import { generatedName, initialiseMeta, metaTypeError, preserveMeta, validateMeta } from "./object-meta.ts";
import { mountToken } from "./pod.ts";
import type { ResourceType } from "./resource-type.ts";
import { apiVersionOf } from "./resource-type.ts";
import type { Schema } from "./schema.ts";
import { applyDefaults, prune } from "./schema.ts";
import { validateSchema } from "./schema-validation.ts";
import type { Cause } from "./status.ts";
import { alreadyExists, ApiError, badRequest, conflict, forbidden, invalid, MODIFIED, notFound } from "./status.ts";
import type { Store, StoredRecord } from "./store.ts";

/** How a write was asked for. */
export interface WriteOptions {
  readonly dryRun: boolean;
  /** What happens to fields that no schema names. */
  readonly fieldValidation: "Strict" | "Warn" | "Ignore";
  /** The body came about by a patch, whose refusals are worded differently. */
  readonly isPatch?: boolean;
  /** Becomes a Warning header. */
  readonly warn: (text: string) => void;
}

/** The rules between a request and the store: what `registry.Store` and its strategies are in kube-apiserver. */
export class ResourceStorage {
  readonly store: Store;
  readonly #now: () => number;

  constructor(store: Store, now: () => number) {
    this.store = store;
    this.#now = now;
  }

  now(): number {
    return this.#now();
  }

  find(type: ResourceType, namespace: string, name: string): StoredRecord | undefined {
    return this.store.collection(type.storage).get(keyOf(type, namespace, name));
  }

  get(type: ResourceType, namespace: string, name: string): StoredRecord {
    const record = this.find(type, namespace, name);
    if (record === undefined) throw notFound(type, name);
    return record;
  }

  create(type: ResourceType, namespace: string, input: unknown, options: WriteOptions): StoredRecord {
    const seen = this.#accept(type, namespace, input, options);
    const { metadata } = seen;
    if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== "") {
      throw new ApiError(500, "", "resourceVersion should not be set on objects to be created");
    }
    if (!metadata.name && metadata.generateName) metadata.name = generatedName(metadata.generateName);
    if (type.namespaced) this.#requireNamespace(type, namespace, metadata.name);
    initialiseMeta(metadata, this.#now());
    if (type.custom && type.hasStatus) delete seen.status;
    if (type.schema !== undefined) applyDefaults(type.schema, seen);
    type.prepareCreate?.(seen, this.#now());
    if (type.generation !== "none") metadata.generation = 1;
    this.#validate(type, seen, undefined);
    this.#warnAboutFinalizers(seen, undefined, options);
    if (type.storage === "/pods") this.#admitServiceAccount(seen, namespace, type);
    if (isDefinition(type)) establish(seen, this.#now());

    const key = keyOf(type, namespace, metadata.name);
    if (this.store.collection(type.storage).get(key) !== undefined) throw alreadyExists(type, metadata.name);
    return this.#put(type, key, toStored(type, seen, undefined), options);
  }

  /**
   * Replaces an object or its status by what `change` makes of the present one (as `type` shows it).
   * A resourceVersion in the result has to be the present one; `requireVersion` is PUT's demand that there be one.
   */
  update(
    type: ResourceType,
    namespace: string,
    name: string,
    subresource: string,
    change: (present: KubeObject) => unknown,
    options: WriteOptions & { readonly requireVersion: boolean },
  ): StoredRecord {
    const record = this.get(type, namespace, name);
    const old = type.view === undefined ? record.object : type.view.read(record.object);
    const seen = this.#accept(type, namespace, change(copy(old)), options);
    const { metadata } = seen;
    if (metadata.name === undefined || metadata.name === "") metadata.name = name;
    if (metadata.name !== name)
      throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
    this.#checkVersion(type, seen, old, options.requireVersion);
    if (subresource === "status") keepAllButStatus(type, seen, old);
    else if (type.hasStatus && isStatusKept(type)) keepStatus(seen, old);
    preserveMeta(metadata, old.metadata);
    if (type.schema !== undefined) applyDefaults(type.schema, seen);
    if (isDefinition(type)) establish(seen, this.#now());
    checkFinalizers(type, seen, old);
    this.#validate(type, seen, old);
    this.#warnAboutFinalizers(seen, old, options);

    delete metadata.resourceVersion;
    const stored = toStored(type, seen, record.object);
    if (
      isDeepStrictEqual(
        { ...stored, metadata: { ...stored.metadata, resourceVersion: record.object.metadata.resourceVersion } },
        record.object,
      )
    )
      return record;
    if (contentChanged(type, stored, record.object))
      stored.metadata.generation = (record.object.metadata.generation ?? 0) + 1;
    const key = record.key;
    if (pendingDeletion(stored) === "due" && !options.dryRun) {
      // Watchers see the last state that was stored; the writer gets back what it wrote.
      const { revision } = this.store.remove(type.storage, key, record.object);
      stored.metadata.resourceVersion = record.object.metadata.resourceVersion as string;
      return { key, object: stored, json: JSON.stringify(stored), revision };
    }
    return this.#put(type, key, stored, options);
  }

  /** Type errors, kind, namespace and pruning: what a request body meets before any rule about its content. */
  #accept(type: ResourceType, namespace: string, input: unknown, options: WriteOptions): KubeObject {
    if (!isObject(input)) throw badRequest("the object provided is unrecognized: the body is not a JSON object");
    const object = copy(input) as KubeObject;
    const wrong =
      object.metadata === undefined || object.metadata === null ? undefined : metaTypeError(object.metadata);
    if (wrong !== undefined)
      throw badRequest(`${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: ${wrong}`);
    object.metadata = isObject(object.metadata) ? object.metadata : ({} as KubeObject["metadata"]);
    checkKind(type, object, input);
    object.apiVersion = apiVersionOf(type);
    object.kind = type.kind;
    dropEmpty(object.metadata);
    if (type.namespaced) {
      object.metadata.namespace ??= namespace;
      if (object.metadata.namespace !== namespace) {
        throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
      }
    } else delete object.metadata.namespace;
    const decoding = type.decodeError?.(object);
    if (decoding !== undefined) {
      throw badRequest(`${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: ${decoding}`);
    }
    const schema = type.schema ?? (type.fields === undefined ? undefined : openSchema(type.fields));
    if (schema !== undefined) {
      const sent = options.isPatch ? JSON.stringify(object) : "";
      const unknown = prune(schema, object)
        .toSorted()
        .map((path) => `unknown field ${JSON.stringify(path)}`);
      if (unknown.length > 0 && options.fieldValidation === "Strict") {
        const why = `strict decoding error: ${unknown.join(", ")}`;
        if (!options.isPatch) {
          throw badRequest(`${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: ${why}`);
        }
        const message = `Invalid value: ${JSON.stringify(sent)}: ${why}`;
        throw invalid({ group: "", kind: "" }, "", [{ reason: "FieldValueInvalid", field: "patch", message }]);
      }
      if (options.fieldValidation === "Warn") for (const text of unknown) options.warn(text);
    }
    return object;
  }

  #checkVersion(type: ResourceType, seen: KubeObject, old: KubeObject, required: boolean): void {
    const { resourceVersion, uid } = seen.metadata;
    const name = old.metadata.name;
    if (resourceVersion === undefined) {
      if (!required || type.unconditionalUpdate) return;
      throw invalid({ ...type, kind: type.plural }, name, [
        {
          reason: "FieldValueInvalid",
          field: "metadata.resourceVersion",
          message: "Invalid value: 0: must be specified for an update",
        },
      ]);
    }
    if (uid !== undefined && uid !== old.metadata.uid) {
      if (!required) {
        const message = `Invalid value: ${JSON.stringify(uid)}: field is immutable`;
        throw invalid(type, name, [{ reason: "FieldValueInvalid", field: "metadata.uid", message }]);
      }
      const etcdKey = `/registry/${type.group === "" ? "" : `${type.group}/`}${type.plural}/${keyOf(type, old.metadata.namespace ?? "", name)}`;
      const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`;
      throw conflict(
        type,
        name,
        `StorageError: invalid object, Code: 4, Key: ${etcdKey}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`,
      );
    }
    if (!/^\d+$/.test(resourceVersion)) {
      throw new ApiError(500, "", `strconv.ParseUint: parsing ${JSON.stringify(resourceVersion)}: invalid syntax`);
    }
    if (resourceVersion !== old.metadata.resourceVersion) throw conflict(type, name, MODIFIED);
  }

  #validate(type: ResourceType, object: KubeObject, old: KubeObject | undefined): void {
    const { name } = object.metadata;
    const causes: Cause[] = [];
    if (!name)
      causes.push({
        reason: "FieldValueRequired",
        field: "metadata.name",
        message: "Required value: name or generateName is required",
      });
    else
      causes.push(
        ...validateMeta(
          object,
          type.storage === "/namespaces" ? "label" : type.group.startsWith("rbac.") ? "path" : "subdomain",
        ),
      );
    if (type.schema !== undefined) causes.push(...validateSchema(type.schema, object));
    causes.push(...(type.validate?.(object, old) ?? []));
    if (causes.length > 0) throw invalid(type, name ?? "", causes);
  }

  #requireNamespace(type: ResourceType, namespace: string, name: string): void {
    const found = this.store.collection("/namespaces").get(namespace);
    if (found === undefined) throw notFound({ group: "", plural: "namespaces", kind: "Namespace" }, namespace);
    if (found.object.metadata.deletionTimestamp === undefined) return;
    const message = `namespace ${namespace} is being terminated`;
    throw forbidden(
      type,
      name ?? "",
      `unable to create new content in namespace ${namespace} because it is being terminated`,
      [{ reason: "NamespaceTerminating", message, field: "metadata.namespace" }],
    );
  }

  /** The ServiceAccount admission plugin. */
  #admitServiceAccount(pod: KubeObject, namespace: string, type: ResourceType): void {
    const account = String((pod.spec as Json).serviceAccountName);
    const found = this.store.collection("/serviceaccounts").get(`${namespace}/${account}`);
    if (found !== undefined) {
      mountToken(pod, found.object, generatedName(""));
      return;
    }
    throw forbidden(
      type,
      pod.metadata.name,
      `error looking up service account ${namespace}/${account}: serviceaccount ${JSON.stringify(account)} not found`,
    );
  }

  #warnAboutFinalizers(object: KubeObject, old: KubeObject | undefined, options: WriteOptions): void {
    for (const finalizer of object.metadata.finalizers ?? []) {
      if (
        finalizer.includes("/") ||
        old?.metadata.finalizers?.includes(finalizer) === true ||
        PLAIN_FINALIZERS.has(finalizer)
      )
        continue;
      options.warn(
        `metadata.finalizers: ${JSON.stringify(finalizer)}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers`,
      );
    }
  }

  #put(type: ResourceType, key: string, stored: KubeObject, options: WriteOptions): StoredRecord {
    if (!options.dryRun) return this.store.put(type.storage, key, stored);
    const present = this.store.collection(type.storage).get(key);
    const object = copy(stored);
    if (present !== undefined) object.metadata.resourceVersion = String(present.object.metadata.resourceVersion);
    return { key, object, json: JSON.stringify(object), revision: present?.revision ?? 0 };
  }
}

/** A schema that knows the fields of an object and nothing of what is in them. */
function openSchema(fields: readonly string[]): Schema {
  return { properties: Object.fromEntries(fields.map((field) => [field, OPEN])) };
}

const OPEN: Schema = { "x-kubernetes-preserve-unknown-fields": true };

/** Kubernetes' own finalizers without a domain. */
const PLAIN_FINALIZERS = new Set(["orphan", "foregroundDeletion", "kubernetes"]);

export function keyOf(type: ResourceType, namespace: string, name: string): string {
  return type.namespaced ? `${namespace}/${name}` : name;
}

function isDefinition(type: ResourceType): boolean {
  return type.storage === "apiextensions.k8s.io/customresourcedefinitions";
}

/** A definition's status is made anew from its spec. */
function isStatusKept(type: ResourceType): boolean {
  return !isDefinition(type);
}

function toStored(type: ResourceType, seen: KubeObject, stored: KubeObject | undefined): KubeObject {
  return type.view === undefined ? seen : type.view.write(seen, stored);
}

function checkKind(type: ResourceType, object: KubeObject, input: unknown): void {
  const { kind, apiVersion } = object;
  if (kind === undefined || kind === "") {
    if (!type.custom) return;
    const text = JSON.stringify(input);
    const shortened = text.length > 30 ? `${text.slice(0, 30)} ...` : text;
    throw badRequest(
      `the object provided is unrecognized (must be of type ${type.kind}): Object 'Kind' is missing in '${text}' (${shortened})`,
    );
  }
  const wanted = apiVersionOf(type);
  if (apiVersion !== undefined && apiVersion !== "" && apiVersion !== wanted) {
    throw badRequest(`the API version in the data (${apiVersion}) does not match the expected API version (${wanted})`);
  }
  if (kind === type.kind) return;
  if (type.custom) {
    const message = `Invalid value: ${JSON.stringify(kind)}: must be ${type.kind}`;
    throw invalid({ group: type.group, kind }, object.metadata.name, [
      { reason: "FieldValueInvalid", field: "kind", message },
    ]);
  }
  throw badRequest(
    `${kind} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}: converting (v1.${kind}) to (core.${type.kind}): unknown conversion`,
  );
}

/** Typed metadata has no nulls and no empty maps or lists: both are as if left out. */
function dropEmpty(meta: KubeObject["metadata"]): void {
  for (const [field, value] of Object.entries(meta)) {
    const empty =
      value === null ||
      value === "" ||
      (Array.isArray(value) && value.length === 0) ||
      (isObject(value) && Object.keys(value).length === 0);
    if (empty) delete meta[field];
  }
  delete meta.managedFields;
}

function keepStatus(seen: KubeObject, old: KubeObject): void {
  if (old.status === undefined) delete seen.status;
  else seen.status = copy(old.status);
}

/** Leaves of a status write only what it may change. */
function keepAllButStatus(type: ResourceType, seen: KubeObject, old: KubeObject): void {
  const { status, metadata } = seen;
  for (const field of Object.keys(seen)) delete seen[field];
  Object.assign(seen, copy(old));
  if (status === undefined) delete seen.status;
  else seen.status = status;
  if (type.statusTakesMetadata) {
    seen.metadata = metadata;
    if (type.storage === "/pods") seen.metadata.ownerReferences = copy(old.metadata.ownerReferences) ?? [];
    dropEmpty(seen.metadata);
  }
}

function checkFinalizers(type: ResourceType, seen: KubeObject, old: KubeObject): void {
  if (old.metadata.deletionTimestamp === undefined) return;
  const before = old.metadata.finalizers ?? [];
  const added = (seen.metadata.finalizers ?? []).filter((finalizer) => !before.includes(finalizer));
  if (added.length === 0) return;
  const list = added.map((finalizer) => JSON.stringify(finalizer)).join(", ");
  throw invalid(type, old.metadata.name, [
    {
      reason: "FieldValueForbidden",
      field: "metadata.finalizers",
      message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`,
    },
  ]);
}

function contentChanged(type: ResourceType, now: KubeObject, before: KubeObject): boolean {
  if (type.generation === "none") return false;
  if (type.generation === "spec") return !isDeepStrictEqual(now.spec, before.spec);
  const content = (object: KubeObject): Json => {
    const { metadata: _metadata, ...rest } = object;
    if (type.hasStatus) delete rest.status;
    return rest;
  };
  return !isDeepStrictEqual(content(now), content(before));
}
