import { createAssignedProjector } from "./record.ts";
import type { AssignedRecord } from "./record.ts";

/**
 * The AzureAssignedIdentities as the watch shows them, corrected by our own writes until the watch has caught up: otherwise the
 * next look would create, patch or delete a second time.
 */
export class AssignedMirror {
  /** Reads API objects; its records share what they have in common with those of our own writes. */
  readonly read = createAssignedProjector();
  readonly #records = new Map<string, AssignedRecord>();
  /** Our writes that the watch has not shown yet; undefined: deleted. */
  readonly #ahead = new Map<string, { readonly uid: string; readonly record: AssignedRecord | undefined }>();
  readonly #byNode = new Map<string, Set<string>>();

  get(key: string): AssignedRecord | undefined {
    return this.#records.get(key);
  }

  onNode(nodeName: string): AssignedRecord[] {
    return [...(this.#byNode.get(nodeName) ?? [])].flatMap((key) => this.#records.get(key) ?? []);
  }

  nodes(): IterableIterator<string> {
    return this.#byNode.keys();
  }

  /** The watch showed an object. @returns the nodes concerned */
  shown(record: AssignedRecord): readonly string[] {
    const ahead = this.#ahead.get(record.key);
    if (ahead !== undefined) {
      const older =
        ahead.record === undefined
          ? ahead.uid === record.uid
          : ahead.uid === record.uid && isOlder(record, ahead.record);
      if (older) return [];
      this.#ahead.delete(record.key);
      if (ahead.record?.resourceVersion === record.resourceVersion && ahead.uid === record.uid) {
        // The echo of our own write is no news; but its record is the one that the cache keeps, and two of each would be twice as many.
        this.#put(record);
        return [];
      }
    }
    return this.#put(record);
  }

  /** A list shows an object that the watch may not have told of yet. */
  listed(record: AssignedRecord): readonly string[] {
    const known = this.#records.get(record.key);
    return known !== undefined && known.uid === record.uid && !isOlder(known, record) ? [] : this.shown(record);
  }

  /** The watch showed that an object is gone. */
  gone(record: AssignedRecord): readonly string[] {
    const ahead = this.#ahead.get(record.key);
    if (ahead !== undefined && ahead.record !== undefined && ahead.uid !== record.uid) return [];
    this.#ahead.delete(record.key);
    return this.#drop(record.key);
  }

  /** The API server answered a write of ours with this object. */
  written(object: unknown): AssignedRecord | undefined {
    const record = this.read(object);
    if (record === undefined) return undefined;
    const shown = this.#records.get(record.key);
    if (shown?.uid === record.uid && !isOlder(shown, record)) return record;
    this.#ahead.set(record.key, { uid: record.uid, record });
    this.#put(record);
    return record;
  }

  /** We made the object with this UID disappear. */
  removed({ key, uid }: AssignedRecord): void {
    if (this.#records.get(key)?.uid !== uid) return;
    this.#ahead.set(key, { uid, record: undefined });
    this.#drop(key);
  }

  #put(record: AssignedRecord): readonly string[] {
    const before = this.#records.get(record.key);
    if (before !== undefined && before.nodeName !== record.nodeName) this.#unlink(before);
    this.#records.set(record.key, record);
    const keys = this.#byNode.get(record.nodeName) ?? new Set<string>();
    this.#byNode.set(record.nodeName, keys.add(record.key));
    return before === undefined || before.nodeName === record.nodeName
      ? [record.nodeName]
      : [before.nodeName, record.nodeName];
  }

  #drop(key: string): readonly string[] {
    const record = this.#records.get(key);
    if (record === undefined) return [];
    this.#records.delete(key);
    this.#unlink(record);
    return [record.nodeName];
  }

  #unlink({ key, nodeName }: AssignedRecord): void {
    const keys = this.#byNode.get(nodeName);
    keys?.delete(key);
    if (keys?.size === 0) this.#byNode.delete(nodeName);
  }
}

/** Resource versions are decimal numbers that grow (KEP-5504 promises what API servers always did); anything else counts as newer. */
function isOlder(a: AssignedRecord, b: AssignedRecord): boolean {
  const [x, y] = [a.resourceVersion, b.resourceVersion];
  return /^\d+$/.test(x) && /^\d+$/.test(y) && BigInt(x) < BigInt(y);
}
