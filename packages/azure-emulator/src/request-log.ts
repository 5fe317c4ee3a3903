import { like } from "./faults.ts";
import type { RequestFacts, ServiceName } from "./faults.ts";

/** One request. Never holds a token, a secret or a body. */
export interface LogEntry extends RequestFacts {
  readonly id: number;
  /** Epoch milliseconds when it had arrived. */
  readonly time: number;
  readonly host: string;
  readonly peer: string;
  /** As sent, with secrets in the query replaced. */
  readonly url: string;
  readonly userAgent: string;
  /** undefined while it is in flight; 0 when no answer was sent. */
  readonly status: number | undefined;
  readonly durationMs: number | undefined;
  /** Ids of the faults that struck it. */
  readonly faults: readonly string[];
  /** Client id of the caller (ARM) or of the identity served (IMDS, Entra). */
  readonly caller?: string | undefined;
  /** `code` or `error` of an error answer. */
  readonly error?: string | undefined;
}

/** Parts of an entry to compare; texts without regard to case, `*` for anything. */
export interface LogFilter {
  readonly service?: ServiceName;
  readonly method?: string;
  readonly path?: string;
  readonly operation?: string;
  readonly resource?: string;
  readonly machine?: string;
  readonly clientId?: string;
  readonly caller?: string;
  readonly peer?: string;
  readonly host?: string;
  readonly error?: string;
  readonly status?: number;
  /** Only entries with a greater id. */
  readonly after?: number;
}

const CAPACITY = 20_000;

/** Every request to IMDS, Entra and ARM, oldest first; the oldest leave when there are more than 20 000. */
export class RequestLog {
  #entries: LogEntry[] = [];
  #next = 1;
  readonly #watchers = new Set<(entry: LogEntry) => void>();

  /** Notes an arrival; the returned function completes the entry. */
  begin(entry: Omit<LogEntry, "id" | "status" | "durationMs">): (end: Partial<LogEntry>) => void {
    const open: LogEntry = { ...entry, id: this.#next++, status: undefined, durationMs: undefined };
    this.#entries.push(open);
    if (this.#entries.length > CAPACITY) this.#entries.splice(0, CAPACITY / 10);
    return (end) => {
      Object.assign(open, end);
      for (const watcher of this.#watchers) watcher(open);
    };
  }

  entries(filter: LogFilter = {}): readonly LogEntry[] {
    return this.#entries.filter((entry) => fits(filter, entry));
  }

  count(filter: LogFilter = {}): number {
    return this.entries(filter).length;
  }

  clear(): void {
    this.#entries = [];
  }

  /** Calls `watcher` whenever a request is finished; returns the way to stop. */
  subscribe(watcher: (entry: LogEntry) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** The first finished entry that fits, past or future. Rejects when `signal` aborts. */
  waitFor(filter: LogFilter, signal?: AbortSignal): Promise<LogEntry> {
    const past = this.#entries.find((entry) => entry.status !== undefined && fits(filter, entry));
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const stop = this.subscribe((entry) => {
        if (!fits(filter, entry)) return;
        stop();
        signal?.removeEventListener("abort", abort);
        resolve(entry);
      });
      function abort(): void {
        stop();
        reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
      }
      if (signal?.aborted === true) abort();
      signal?.addEventListener("abort", abort);
    });
  }
}

function fits(filter: LogFilter, entry: LogEntry): boolean {
  return (
    (filter.after === undefined || entry.id > filter.after) &&
    (filter.status === undefined || entry.status === filter.status) &&
    like(filter.service, entry.service) &&
    like(filter.method, entry.method) &&
    like(filter.path, entry.path) &&
    like(filter.operation, entry.operation) &&
    like(filter.resource, entry.resource) &&
    like(filter.machine, entry.machine) &&
    like(filter.clientId, entry.clientId) &&
    like(filter.caller, entry.caller) &&
    like(filter.peer, entry.peer) &&
    like(filter.host, entry.host) &&
    like(filter.error, entry.error)
  );
}

const SECRETS = /((?:^|[?&])(?:client_secret|client_assertion|access_token|refresh_token|assertion|password)=)[^&]*/gi;

export function withoutSecrets(url: string): string {
  return url.replaceAll(SECRETS, "$1(removed)");
}
