import { deleteObject, pendingDeletion } from "./deletion.ts";
import type { KubeObject } from "./json.ts";
import { copy } from "./json.ts";
import type { Registry } from "./registry.ts";
import type { ResourceStorage } from "./resource-storage.ts";
import type { ResourceType } from "./resource-type.ts";
import type { StoreEvent } from "./store.ts";
import { CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS } from "./builtin-resources.ts";
import { CUSTOM_RESOURCE_DEFINITIONS } from "./custom-resource.ts";

const QUIET = { dryRun: false, fieldValidation: "Ignore", warn: () => {} } as const;
const AT_ONCE = {
  gracePeriodSeconds: undefined,
  uid: undefined,
  resourceVersion: undefined,
  propagationPolicy: undefined,
  dryRun: false,
};

/**
 * The little that kube-controller-manager and the apiextensions controllers do here, at once and in the same turn:
 * a new namespace gets its default ServiceAccount and CA bundle, a deleted one is emptied, definitions are served,
 * and owned objects go with their last owner.
 */
export class Controllers {
  readonly #storage: ResourceStorage;
  readonly #registry: Registry;
  readonly #caPem: string;
  readonly #collectGarbage: boolean;
  /** Owner's UID → where its dependents are. */
  readonly #owned = new Map<string, Map<string, { readonly storage: string; readonly key: string }>>();

  /** UIDs of owners that wait for their dependents. */
  readonly #foreground = new Map<string, { readonly storage: string; readonly key: string }>();

  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #namespaceDelayMs: number;

  constructor(o: {
    storage: ResourceStorage;
    registry: Registry;
    caPem: string;
    collectGarbage: boolean;
    namespaceDelayMs: number;
  }) {
    this.#namespaceDelayMs = o.namespaceDelayMs;
    this.#storage = o.storage;
    this.#registry = o.registry;
    this.#caPem = o.caPem;
    this.#collectGarbage = o.collectGarbage;
    o.storage.store.observe((storage, event) => this.#react(storage, event));
  }

  #react(storage: string, event: StoreEvent): void {
    const { object } = event.record;
    if (this.#collectGarbage) this.#followOwners(storage, event);
    if (storage === NAMESPACES.storage) this.#namespace(event);
    else if (storage === CUSTOM_RESOURCE_DEFINITIONS.storage) this.#definition(event);
    if (event.type === "DELETED" && object.metadata.namespace !== undefined)
      this.#finishNamespace(object.metadata.namespace);
  }

  #namespace(event: StoreEvent): void {
    const { name, deletionTimestamp } = event.record.object.metadata;
    if (event.type === "ADDED") {
      this.#storage.create(SERVICE_ACCOUNTS, name, { metadata: { name: "default" } }, QUIET);
      this.#storage.create(
        CONFIG_MAPS,
        name,
        { metadata: { name: "kube-root-ca.crt" }, data: { "ca.crt": this.#caPem } },
        QUIET,
      );
    } else if (
      event.type === "MODIFIED" &&
      deletionTimestamp !== undefined &&
      event.previous?.object.metadata.deletionTimestamp === undefined
    ) {
      // Not in the same turn: `kubectl delete -f` deletes the namespace first and expects to find the rest.
      this.#timers.add(setTimeout(() => this.#emptyNamespace(name), this.#namespaceDelayMs).unref());
    }
  }

  #emptyNamespace(name: string): void {
    for (const type of this.#storedTypes()) {
      if (!type.namespaced) continue;
      for (const record of this.#storage.store.collection(type.storage).list(`${name}/`)) {
        this.#remove(type, record.object);
      }
    }
    this.#finishNamespace(name);
  }

  /** Forgets what is still planned. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Removes a namespace that is being deleted and has become empty. */
  #finishNamespace(name: string): void {
    const record = this.#storage.store.collection(NAMESPACES.storage).get(name);
    if (record?.object.metadata.deletionTimestamp === undefined) return;
    if ((record.object.metadata.finalizers ?? []).length > 0) return;
    const left = this.#storedTypes().some(
      (type) => type.namespaced && this.#storage.store.collection(type.storage).list(`${name}/`).length > 0,
    );
    if (!left) this.#storage.store.remove(NAMESPACES.storage, name, record.object);
  }

  #definition(event: StoreEvent): void {
    const { object } = event.record;
    if (event.type !== "DELETED") {
      this.#registry.define(object);
      return;
    }
    const types = this.#registry.all().filter((type) => `${type.plural}.${type.group}` === object.metadata.name);
    for (const type of types) {
      for (const record of this.#storage.store.collection(type.storage).list())
        this.#storage.store.remove(type.storage, record.key, record.object);
    }
    this.#registry.undefine(object.metadata.name);
  }

  #followOwners(storage: string, event: StoreEvent): void {
    const { key, object } = event.record;
    const place = `${storage} ${key}`;
    for (const owner of event.previous?.object.metadata.ownerReferences ?? []) {
      const dependents = this.#owned.get(owner.uid);
      dependents?.delete(place);
      if (dependents?.size === 0) this.#owned.delete(owner.uid);
    }
    if (event.type === "DELETED") {
      this.#collect(String(object.metadata.uid));
      for (const owner of object.metadata.ownerReferences ?? []) this.#finishForeground(owner.uid);
      return;
    }
    for (const owner of object.metadata.ownerReferences ?? []) {
      const dependents = this.#owned.get(owner.uid) ?? new Map<string, { storage: string; key: string }>();
      dependents.set(place, { storage, key });
      this.#owned.set(owner.uid, dependents);
    }
    const finalizers = object.metadata.finalizers ?? [];
    if (object.metadata.deletionTimestamp === undefined) return;
    if (finalizers.includes("foregroundDeletion")) {
      const uid = String(object.metadata.uid);
      this.#foreground.set(uid, { storage, key });
      this.#collect(uid);
      this.#finishForeground(uid);
    } else if (finalizers.includes("orphan")) {
      this.#orphan(String(object.metadata.uid));
      this.#dropFinalizer(storage, key, "orphan");
    }
  }

  /** Deletes dependents that have no other living owner. */
  #collect(uid: string): void {
    for (const { storage, key } of Array.from(this.#owned.get(uid)?.values() ?? [])) {
      const object = this.#storage.store.collection(storage).get(key)?.object;
      const type = this.#storedTypes().find((candidate) => candidate.storage === storage);
      if (object === undefined || type === undefined) continue;
      const others = (object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
      if (others.length === 0) this.#remove(type, object);
      else
        this.#storage.store.put(storage, key, {
          ...copy(object),
          metadata: { ...copy(object.metadata), ownerReferences: others },
        });
    }
  }

  #orphan(uid: string): void {
    for (const { storage, key } of Array.from(this.#owned.get(uid)?.values() ?? [])) {
      const object = copy(this.#storage.store.collection(storage).get(key)?.object);
      if (object === undefined) continue;
      const others = (object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
      if (others.length === 0) delete object.metadata.ownerReferences;
      else object.metadata.ownerReferences = others;
      this.#storage.store.put(storage, key, object);
    }
  }

  /** Lets an owner go that waited for its dependents. */
  #finishForeground(uid: string): void {
    const place = this.#foreground.get(uid);
    if (place === undefined || (this.#owned.get(uid)?.size ?? 0) > 0) return;
    this.#foreground.delete(uid);
    this.#dropFinalizer(place.storage, place.key, "foregroundDeletion");
  }

  #dropFinalizer(storage: string, key: string, finalizer: string): void {
    const object = copy(this.#storage.store.collection(storage).get(key)?.object);
    if (object?.metadata.finalizers?.includes(finalizer) !== true) return;
    const rest = object.metadata.finalizers.filter((other) => other !== finalizer);
    if (rest.length === 0) delete object.metadata.finalizers;
    else object.metadata.finalizers = rest;
    if (pendingDeletion(object) === "due") this.#storage.store.remove(storage, key, object);
    else this.#storage.store.put(storage, key, object);
  }

  #remove(type: ResourceType, object: KubeObject): void {
    const namespace = object.metadata.namespace ?? "";
    if (this.#storage.find(type, namespace, object.metadata.name) === undefined) return;
    deleteObject(this.#storage, type, namespace, object.metadata.name, AT_ONCE);
  }

  /** One type per stored resource: the first served version that is no view. */
  #storedTypes(): ResourceType[] {
    return this.#registry.all().filter((type) => type.view === undefined);
  }
}
