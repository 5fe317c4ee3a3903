import { objectKey } from "./kube-object.ts";
import type { KubeObject } from "./kube-object.ts";
import type { Log } from "./transport.ts";

/** Told of every difference, in order. What it throws is logged and harms neither the reflector nor other subscribers. */
export interface ReflectorHandler<T> {
  /** `previous` is undefined for a new key. An object deleted and made anew while the watch was cut arrives as one upsert. */
  upsert(key: string, item: T, previous: T | undefined): void;
  /** `item` is what was stored. */
  delete(key: string, item: T): void;
  /** Once, after the upserts of the first complete list. */
  synced?(): void;
  /** An attempt to list or watch failed; the reflector's `problem` says why, and it goes on trying. */
  failed?(): void;
}

type Change<T> = {
  readonly key: string;
  readonly item: T;
  readonly previous: T | undefined;
  readonly deleted: boolean;
};

/** The projected objects of one reflector and who wants to know of their changes. */
export class ReflectorStore<T> {
  readonly items = new Map<string, T>();
  readonly #versions = new Map<string, string>();
  readonly #project: (object: KubeObject) => T | undefined;
  readonly #log: Log;
  readonly #handlers = new Set<ReflectorHandler<T>>();
  readonly #first = new Set<ReflectorHandler<T>>();
  #synced = false;

  constructor(project: (object: KubeObject) => T | undefined, log: Log) {
    this.#project = project;
    this.#log = log;
  }

  get synced(): boolean {
    return this.#synced;
  }

  /** Replays what is stored, then follows. Handlers of `first` see each batch before all others do: indexes. */
  subscribe(handler: ReflectorHandler<T>, first: boolean): () => void {
    const handlers = first ? this.#first : this.#handlers;
    for (const [key, item] of this.items) this.#call(() => handler.upsert(key, item, undefined));
    if (this.#synced) this.#call(() => handler.synced?.());
    handlers.add(handler);
    return () => void handlers.delete(handler);
  }

  upsert(object: KubeObject): void {
    const key = objectKey(object);
    const item = this.projected(object);
    if (item === undefined) return this.remove(key);
    const previous = this.items.get(key);
    this.items.set(key, item);
    this.#versions.set(key, object.metadata.resourceVersion ?? "");
    this.#emit([{ key, item, previous, deleted: false }]);
  }

  remove(key: string): void {
    const item = this.items.get(key);
    if (item === undefined) return;
    this.items.delete(key);
    this.#versions.delete(key);
    this.#emit([{ key, item, previous: item, deleted: true }]);
  }

  /** The stored item if it was made from exactly this version. */
  unchanged(key: string, version: string): T | undefined {
    return version !== "" && this.#versions.get(key) === version ? this.items.get(key) : undefined;
  }

  /** Undefined also where the projection throws: an object that cannot be read must not count. */
  projected(object: KubeObject): T | undefined {
    try {
      return this.#project(object);
    } catch (error) {
      this.#log.error(
        { object: objectKey(object), error: String(error) },
        "the projection threw; the object is left out",
      );
      return undefined;
    }
  }

  /** Everything becomes `snapshot` in one step; subscribers get the exact differences afterwards, deletions first. */
  replace(snapshot: Snapshot<T>): void {
    const changes: Change<T>[] = [];
    for (const [key, item] of this.items) {
      if (snapshot.entries.has(key)) continue;
      changes.push({ key, item, previous: item, deleted: true });
      this.items.delete(key);
      this.#versions.delete(key);
    }
    for (const [key, { item, version }] of snapshot.entries) {
      const previous = this.items.get(key);
      if (previous !== undefined && this.unchanged(key, version) === item) continue;
      this.items.set(key, item);
      this.#versions.set(key, version);
      changes.push({ key, item, previous, deleted: false });
    }
    const firstTime = !this.#synced;
    this.#synced = true;
    this.#emit(changes);
    if (firstTime) for (const handler of [...this.#first, ...this.#handlers]) this.#call(() => handler.synced?.());
  }

  failed(): void {
    for (const handler of [...this.#first, ...this.#handlers]) this.#call(() => handler.failed?.());
  }

  #emit(changes: readonly Change<T>[]): void {
    const handlers = [...this.#handlers];
    for (const handler of this.#first) for (const change of changes) this.#tell(handler, change);
    for (const change of changes)
      for (const handler of handlers) if (this.#handlers.has(handler)) this.#tell(handler, change);
  }

  #tell(handler: ReflectorHandler<T>, { key, item, previous, deleted }: Change<T>): void {
    this.#call(() => (deleted ? handler.delete(key, item) : handler.upsert(key, item, previous)));
  }

  #call(notify: () => void): void {
    try {
      notify();
    } catch (error) {
      this.#log.error(
        { error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
        "a subscriber threw",
      );
    }
  }
}

/** A complete set in the making, projected object by object so that no page of full objects is kept. */
export class Snapshot<T> {
  readonly entries = new Map<string, { readonly version: string; readonly item: T }>();
  readonly #store: ReflectorStore<T>;

  constructor(store: ReflectorStore<T>) {
    this.#store = store;
  }

  add(object: KubeObject): void {
    const key = objectKey(object);
    const version = object.metadata.resourceVersion ?? "";
    const item = this.#store.unchanged(key, version) ?? this.#store.projected(object);
    if (item === undefined) this.entries.delete(key);
    else this.entries.set(key, { version, item });
  }

  remove(key: string): void {
    this.entries.delete(key);
  }
}
