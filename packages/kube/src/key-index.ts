import type { Reflector } from "./reflector.ts";

interface Bucket<T> {
  readonly members: Map<string, T>;
  list: readonly T[] | undefined;
}

const NONE: readonly never[] = Object.freeze([]);

/** A reflector's items by any other keys: pods by address, bindings by identity. Current whenever a subscriber runs. */
export class Index<T> {
  readonly #keysOf: (item: T) => readonly string[];
  readonly #buckets = new Map<string, Bucket<T>>();
  readonly #unsubscribe: () => void;

  /** `keysOf` must depend on the item alone; an item may have any number of keys. */
  constructor(source: Pick<Reflector<T>, "subscribe">, keysOf: (item: T) => readonly string[]) {
    this.#keysOf = keysOf;
    this.#unsubscribe = source.subscribe(
      {
        upsert: (key, item, previous) => {
          if (previous !== undefined) this.#remove(key, previous);
          this.#add(key, item);
        },
        delete: (key, item) => this.#remove(key, item),
      },
      { first: true },
    );
  }

  /** Items with this key, in the order in which they got it. Empty when there is none. */
  get(key: string): readonly T[] {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return NONE;
    return (bucket.list ??= [...bucket.members.values()]);
  }

  /** Keys that have items. */
  keys(): IterableIterator<string> {
    return this.#buckets.keys();
  }

  /** Stops following; what is there stays. */
  close(): void {
    this.#unsubscribe();
  }

  #add(objectKey: string, item: T): void {
    for (const key of this.#keysOf(item)) {
      let bucket = this.#buckets.get(key);
      if (bucket === undefined) this.#buckets.set(key, (bucket = { members: new Map(), list: undefined }));
      bucket.members.set(objectKey, item);
      bucket.list = undefined;
    }
  }

  #remove(objectKey: string, item: T): void {
    for (const key of this.#keysOf(item)) {
      const bucket = this.#buckets.get(key);
      if (bucket === undefined) continue;
      bucket.members.delete(objectKey);
      bucket.list = undefined;
      if (bucket.members.size === 0) this.#buckets.delete(key);
    }
  }
}
