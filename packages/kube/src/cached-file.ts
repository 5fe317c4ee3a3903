import { readFile } from "node:fs/promises";

import { elapsedClock } from "./clock.ts";
import type { Clock } from "./clock.ts";

/** Kubelet replaces a projected token when 80 % of its life is over: seconds of delay do not matter, reading per request would. */
const MAX_AGE_MS = 10_000;

/** A file that somebody rotates: a projected token, kubelet's client certificate. */
export class CachedFile {
  readonly #path: string;
  readonly #elapsed: () => number;
  #content: string | undefined;
  #readAt = 0;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#elapsed = elapsedClock(clock);
  }

  /** The content, at most ten seconds old; older only while the file cannot be read. */
  async read(refresh: boolean): Promise<string> {
    const now = this.#elapsed();
    if (this.#content !== undefined && !refresh && now - this.#readAt < MAX_AGE_MS) return this.#content;
    try {
      this.#content = await readFile(this.#path, "utf8");
      this.#readAt = now;
    } catch (cause) {
      if (this.#content === undefined)
        throw new Error(`cannot read ${this.#path}: ${(cause as Error).message}`, { cause });
    }
    return this.#content;
  }
}
