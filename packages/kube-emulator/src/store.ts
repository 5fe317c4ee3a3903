import type { KubeObject } from "./json.ts";
import { copy } from "./json.ts";

/** One object at one revision. Neither it nor its object is ever changed. */
export interface StoredRecord {
  /** `namespace/name`, or the name alone for cluster-scoped objects: etcd's order within a resource. */
  readonly key: string;
  readonly object: KubeObject;
  /** The object's JSON, made once for all readers. */
  readonly json: string;
  readonly revision: number;
}

export interface StoreEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly revision: number;
  /** For DELETED the last state, with the resourceVersion of the deletion. */
  readonly record: StoredRecord;
  readonly previous: StoredRecord | undefined;
}

/** All objects of one resource and the bounded history of their changes. */
export class Collection {
  /** Watches that start before this revision have missed something. */
  compacted = 0;
  /** Revision of the last change. */
  changed = 0;
  readonly #records = new Map<string, StoredRecord>();
  /** Always sorted and always the keys of `#records`. */
  readonly #keys: string[] = [];
  #history: StoreEvent[] = [];
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  readonly #limit: number;

  constructor(historyLimit: number) {
    this.#limit = historyLimit;
  }

  get size(): number {
    return this.#records.size;
  }

  get(key: string): StoredRecord | undefined {
    return this.#records.get(key);
  }

  /** Records whose key starts with `prefix`, in key order. */
  list(prefix = ""): StoredRecord[] {
    const found: StoredRecord[] = [];
    for (let index = this.#position(prefix); index < this.#keys.length; index++) {
      const key = this.#keys[index] as string;
      if (!key.startsWith(prefix)) break;
      found.push(this.#records.get(key) as StoredRecord);
    }
    return found;
  }

  /** The same at an earlier revision, or undefined when the history no longer reaches back to it. */
  listAt(revision: number, prefix = ""): StoredRecord[] | undefined {
    if (revision >= this.changed) return this.list(prefix);
    if (revision < this.compacted) return undefined;
    const restored = new Map(this.list(prefix).map((record) => [record.key, record]));
    for (let index = this.#history.length - 1; index >= 0; index--) {
      const event = this.#history[index] as StoreEvent;
      if (event.revision <= revision) break;
      const { key } = event.record;
      if (!key.startsWith(prefix)) continue;
      if (event.previous === undefined) restored.delete(key);
      else restored.set(key, event.previous);
    }
    return [...restored.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** What happened after a revision, or undefined when that is no longer known. */
  since(revision: number): readonly StoreEvent[] | undefined {
    if (revision < this.compacted) return undefined;
    let low = 0;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#history[middle] as StoreEvent).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#history.slice(low);
  }

  subscribe(listener: (event: StoreEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets the history up to a revision. */
  compact(revision: number): void {
    this.compacted = Math.max(this.compacted, revision);
    this.#history = this.#history.filter((event) => event.revision > revision);
  }

  apply(event: StoreEvent): void {
    const { key } = event.record;
    const position = this.#position(key);
    if (event.type === "DELETED") {
      this.#records.delete(key);
      this.#keys.splice(position, 1);
    } else {
      if (!this.#records.has(key)) this.#keys.splice(position, 0, key);
      this.#records.set(key, event.record);
    }
    this.changed = event.revision;
    this.#history.push(event);
    // Trimmed in batches, so that a full history does not cost a shift of the whole array per change.
    if (this.#history.length > this.#limit * 1.25 + 16) {
      const dropped = this.#history.splice(0, this.#history.length - this.#limit);
      this.compacted = (dropped.at(-1) as StoreEvent).revision;
    }
    for (const listener of this.#listeners) listener(event);
  }

  #position(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** etcd's part: one revision counter over all collections. */
export class Store {
  revision = 1;
  readonly #collections = new Map<string, Collection>();
  readonly #historyLimit: number;
  readonly #observers: ((storage: string, event: StoreEvent) => void)[] = [];

  constructor(historyLimit: number) {
    this.#historyLimit = historyLimit;
  }

  /** `storage` is `group/plural`, shared by all versions of a resource. */
  collection(storage: string): Collection {
    let found = this.#collections.get(storage);
    if (found === undefined) {
      found = new Collection(this.#historyLimit);
      this.#collections.set(storage, found);
    }
    return found;
  }

  collections(): IterableIterator<[string, Collection]> {
    return this.#collections.entries();
  }

  /** Called after each change; for what controllers do in a real cluster. */
  observe(observer: (storage: string, event: StoreEvent) => void): void {
    this.#observers.push(observer);
  }

  put(storage: string, key: string, object: KubeObject): StoredRecord {
    const collection = this.collection(storage);
    const previous = collection.get(key);
    const record = this.#next(key, object);
    this.#publish(storage, collection, {
      type: previous === undefined ? "ADDED" : "MODIFIED",
      revision: record.revision,
      record,
      previous,
    });
    return record;
  }

  remove(storage: string, key: string, lastState: KubeObject): StoredRecord {
    const collection = this.collection(storage);
    const previous = collection.get(key);
    const record = this.#next(key, lastState);
    this.#publish(storage, collection, { type: "DELETED", revision: record.revision, record, previous });
    return record;
  }

  /** As if etcd had been compacted at the present revision. */
  compact(): void {
    for (const collection of this.#collections.values()) collection.compact(this.revision);
  }

  #next(key: string, object: KubeObject): StoredRecord {
    this.revision += 1;
    const stored = copy(object);
    stored.metadata.resourceVersion = String(this.revision);
    return { key, object: stored, json: JSON.stringify(stored), revision: this.revision };
  }

  #publish(storage: string, collection: Collection, event: StoreEvent): void {
    collection.apply(event);
    for (const observer of this.#observers) observer(storage, event);
  }
}
