import type { Clock } from "@podid/imds-proxy";
import type { Log } from "@podid/kube";
import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseCniEntry } from "./cni-entry.ts";
import type { CniEntry } from "./cni-entry.ts";

/** Which pod the node's container runtime gave an address to. */
export interface NetworkRecords {
  /** @returns undefined when nothing is known of any address: no such directory, or nothing readable in it */
  podOf(address: string): { readonly uids: readonly string[] } | undefined;
}

export interface CniCacheOptions {
  readonly directory: string;
  readonly clock: Pick<Clock, "setTimeout">;
  readonly log: Log;
  /** Something has changed; `left`: addresses that were taken from the pod that had them. */
  readonly changed: (left: readonly string[]) => void;
}

interface File extends CniEntry {
  readonly writtenMs: number;
}

/** The kernel drops events when too many are due, and the directory may not exist yet. */
const LOOK_ANYWAY_MS = 5_000;
/** A file may still be written to when its event comes. */
const SETTLE_MS = 20;

/** libcni's result cache, followed as it changes: the ground truth of who has which address on this node. */
export class CniCache implements NetworkRecords {
  readonly #options: CniCacheOptions;
  readonly #files = new Map<string, File>();
  readonly #byAddress = new Map<string, Set<File>>();
  /** Asked on every request, changed rarely. */
  readonly #answers = new Map<string, { readonly uids: readonly string[] }>();
  #watcher: FSWatcher | undefined;
  #timer: { cancel(): void } | undefined;
  #scanning: Promise<void> | undefined;
  #again = false;
  #dirty = false;
  #stopped = false;
  #announced = false;

  constructor(options: CniCacheOptions) {
    this.#options = options;
  }

  podOf(address: string): { readonly uids: readonly string[] } | undefined {
    if (this.#files.size === 0) return undefined;
    const known = this.#answers.get(address);
    if (known !== undefined) return known;
    const files = [...(this.#byAddress.get(address) ?? [])];
    // An address is given out again only after it was given back, so an older entry is one whose removal failed.
    const newest = Math.max(...files.map(({ writtenMs }) => writtenMs));
    const uids = [...new Set(files.filter((file) => file.writtenMs === newest).map(({ podUid }) => podUid))];
    // Addresses that nobody has come from whoever asks, and must not be kept.
    if (uids.length > 0) this.#answers.set(address, { uids });
    return { uids };
  }

  /** Resolves when the directory has been read once. */
  async start(): Promise<void> {
    await this.scan();
    this.#later();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#watcher?.close();
    await this.#scanning;
  }

  /** Reads what has changed; calls while one is running share the next. */
  scan(): Promise<void> {
    if (this.#scanning !== undefined) {
      this.#again = true;
      return this.#scanning;
    }
    this.#scanning = this.#scanAll().finally(() => (this.#scanning = undefined));
    return this.#scanning;
  }

  async #scanAll(): Promise<void> {
    const left = new Set<string>();
    this.#dirty = false;
    do {
      this.#again = false;
      await this.#scanOnce(left);
    } while (this.#again && !this.#stopped);
    if (this.#dirty) this.#options.changed([...left]);
  }

  async #scanOnce(left: Set<string>): Promise<void> {
    const { directory, log } = this.#options;
    let names: string[];
    try {
      this.#watch();
      names = await readdir(directory);
    } catch (error) {
      names = [];
      this.#watcher?.close();
      this.#watcher = undefined;
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" && !this.#announced) {
        this.#announced = true;
        log.warn({ directory, error: String(error) }, "the container runtime's record of addresses cannot be read");
      }
    }
    const present = new Set(names);
    for (const name of this.#files.keys()) if (!present.has(name)) this.#drop(name, left);
    for (const name of names) await this.#read(name, left);
  }

  async #read(name: string, left: Set<string>): Promise<void> {
    const path = join(this.#options.directory, name);
    const known = this.#files.get(name);
    try {
      const { mtimeMs } = await stat(path);
      if (known?.writtenMs === mtimeMs) return;
      const entry = parseCniEntry(await readFile(path, "utf8"));
      this.#drop(name, left);
      if (entry !== undefined) this.#keep(name, { ...entry, writtenMs: mtimeMs });
    } catch {
      // Gone between the listing and now.
      this.#drop(name, left);
    }
  }

  #keep(name: string, file: File): void {
    this.#files.set(name, file);
    this.#touch();
    for (const address of file.addresses) {
      const files = this.#byAddress.get(address) ?? new Set<File>();
      this.#byAddress.set(address, files.add(file));
    }
  }

  #drop(name: string, left: Set<string>): void {
    const file = this.#files.get(name);
    if (file === undefined) return;
    this.#files.delete(name);
    this.#touch();
    for (const address of file.addresses) {
      const files = this.#byAddress.get(address);
      files?.delete(file);
      if (files?.size === 0) this.#byAddress.delete(address);
      left.add(address);
    }
  }

  #touch(): void {
    this.#dirty = true;
    this.#answers.clear();
  }

  /** @throws when the directory does not exist */
  #watch(): void {
    if (this.#watcher !== undefined || this.#stopped) return;
    const watcher = watch(this.#options.directory, { persistent: false }, () => {
      this.#options.clock.setTimeout(() => (this.#stopped ? undefined : void this.scan()), SETTLE_MS);
    });
    watcher.once("error", () => {
      watcher.close();
      if (this.#watcher === watcher) this.#watcher = undefined;
    });
    this.#watcher = watcher;
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.setTimeout(() => void this.scan().then(() => this.#later()), LOOK_ANYWAY_MS);
  }
}
