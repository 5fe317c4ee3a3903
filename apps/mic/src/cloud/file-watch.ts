import { createHash } from "node:crypto";
import { readFileSync, realpathSync, watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "@podid/kube";

export interface FileWatchOptions {
  readonly paths: readonly string[];
  readonly clock: Clock;
  /** Called once per change of any content, a moment after it. */
  readonly onChange: () => void;
  /** Files are compared this often even if no change was reported: some file systems report none. */
  readonly pollMs?: number;
}

/** Writers often change a file in several steps; half of one is no news. */
const SETTLE_MS = 100;
const POLL_MS = 30_000;

/**
 * Tells when the content of files changes, however it comes about: written in place, replaced by a rename, or by the swap of a
 * symbolic link above it, as kubelet does with the files of Secrets and ConfigMaps. Folders are watched rather than files, whose
 * inode is another one after a rename; and contents are compared, because an event alone may mean nothing.
 */
export class FileWatch {
  readonly #o: FileWatchOptions;
  #digest: string;
  #watchers: FSWatcher[] = [];
  #settling: { cancel(): void } | undefined;
  #poll: { cancel(): void } | undefined;
  #closed = false;

  constructor(options: FileWatchOptions) {
    this.#o = options;
    this.#digest = this.#read();
    this.#watchFolders();
    this.#schedulePoll();
  }

  close(): void {
    this.#closed = true;
    this.#settling?.cancel();
    this.#poll?.cancel();
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  #watchFolders(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    for (const folder of new Set(this.#o.paths.flatMap(foldersOf))) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#touched());
        watcher.on("error", () => watcher.close());
        this.#watchers.push(watcher);
      } catch {
        // Gone or not readable for now; comparing goes on.
      }
    }
  }

  #touched(): void {
    if (this.#closed) return;
    this.#settling?.cancel();
    this.#settling = this.#o.clock.setTimeout(() => this.#compare(), SETTLE_MS);
  }

  #schedulePoll(): void {
    this.#poll = this.#o.clock.setTimeout(() => {
      this.#compare();
      if (!this.#closed) this.#schedulePoll();
    }, this.#o.pollMs ?? POLL_MS);
  }

  #compare(): void {
    const digest = this.#read();
    if (this.#closed || digest === this.#digest) return;
    this.#digest = digest;
    // A link may lead to another folder now.
    this.#watchFolders();
    this.#o.onChange();
  }

  /** A digest, so that secrets are not held twice. */
  #read(): string {
    const hash = createHash("sha256");
    for (const path of this.#o.paths) {
      try {
        hash.update("there").update(readFileSync(path));
      } catch {
        hash.update("missing");
      }
    }
    return hash.digest("hex");
  }
}

/** The folder of the file, that of what its links lead to, and the one in which a linked folder is swapped. */
function foldersOf(path: string): string[] {
  const folder = dirname(path);
  try {
    return [folder, dirname(realpathSync(path))];
  } catch {
    return [folder];
  }
}
