/** One request, as it was understood. Never holds a token or a body. */
export interface AuditEntry {
  readonly id: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Empty while the credentials are being checked, and for anonymous requests. */
  user: string;
  readonly userAgent: string;
  readonly peer: string;
  readonly method: string;
  readonly path: string;
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Query parameters: selectors, limit, continue, resourceVersion, watch options. */
  readonly query: Readonly<Record<string, string>>;
  /** HTTP status; 0 while the request is being served. */
  status: number;
  /** Bytes of the answer's body so far. */
  bytes: number;
  /** For a watch: objects sent, and whether it is still open. */
  events: number;
  open: boolean;
}

/** The last requests, oldest first. */
export class AuditLog {
  readonly #limit: number;
  #entries: AuditEntry[] = [];
  #next = 1;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get entries(): readonly AuditEntry[] {
    return this.#entries;
  }

  /** Entries in which every given field has the given value. */
  find(wanted: Partial<AuditEntry>): AuditEntry[] {
    const pairs = Object.entries(wanted);
    return this.#entries.filter((entry) => pairs.every(([field, value]) => entry[field as keyof AuditEntry] === value));
  }

  clear(): void {
    this.#entries = [];
  }

  /** @internal */
  add(entry: Omit<AuditEntry, "id" | "user" | "status" | "bytes" | "events" | "open">): AuditEntry {
    const added: AuditEntry = { ...entry, id: this.#next++, user: "", status: 0, bytes: 0, events: 0, open: true };
    this.#entries.push(added);
    if (this.#entries.length > this.#limit * 1.25) this.#entries = this.#entries.slice(-this.#limit);
    return added;
  }
}
