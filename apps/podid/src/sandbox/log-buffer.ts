/** One line of a program's output. */
export interface LogLine {
  /** Epoch milliseconds. */
  readonly time: number;
  readonly text: string;
}

const CAPACITY = 20_000;

/** The last lines of a program, to read and to follow. */
export class LogBuffer {
  #lines: LogLine[] = [];
  #partial = "";
  #closed = false;
  readonly #watchers = new Set<(line: LogLine | undefined) => void>();

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** Output as it comes: any number of lines, the last one perhaps unfinished. */
  write(chunk: string): void {
    const parts = (this.#partial + chunk).split("\n");
    this.#partial = parts.pop() ?? "";
    for (const text of parts) this.add(text);
  }

  add(text: string): void {
    const line = { time: Date.now(), text };
    this.#lines.push(line);
    if (this.#lines.length > CAPACITY) this.#lines = this.#lines.slice(-CAPACITY * 0.9);
    for (const watcher of this.#watchers) watcher(line);
  }

  /** What is left of an unfinished line becomes one: its writer has ended. */
  flush(): void {
    if (this.#partial !== "") this.add(this.#partial);
    this.#partial = "";
  }

  /** Nothing more will come: followers end. */
  close(): void {
    this.flush();
    this.#closed = true;
    for (const watcher of this.#watchers) watcher(undefined);
  }

  /** Calls back for each line from now on, `undefined` at the end; returns the way to stop. */
  watch(watcher: (line: LogLine | undefined) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** The lines so far (the last `tail` of them), then, with `follow`, every further one until `signal` aborts. */
  async *read(o: {
    readonly tail?: number | undefined;
    readonly follow: boolean;
    readonly signal: AbortSignal;
  }): AsyncGenerator<LogLine> {
    const queue: (LogLine | undefined)[] =
      o.tail === undefined ? [...this.#lines] : o.tail === 0 ? [] : this.#lines.slice(-o.tail);
    if (!o.follow || this.#closed) {
      yield* queue as LogLine[];
      return;
    }
    let wake = (): void => undefined;
    const stop = this.watch((line) => {
      queue.push(line);
      wake();
    });
    const onAbort = (): void => wake();
    o.signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (!o.signal.aborted) {
        if (queue.length === 0) {
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        const line = queue.shift();
        if (line === undefined) return;
        yield line;
      }
    } finally {
      stop();
      o.signal.removeEventListener("abort", onAbort);
    }
  }
}
