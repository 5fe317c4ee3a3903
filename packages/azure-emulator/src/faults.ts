import { rejectUnknownNames } from "./json.ts";
import type { OperationFailure } from "./state/operation.ts";
import { isWithin } from "./state/roles.ts";

export type ServiceName = "imds" | "entra" | "arm";

/** What is known of a request before it is answered; faults match on it and the log shows it. */
export interface RequestFacts {
  readonly service: ServiceName;
  readonly method: string;
  /** Path without query. */
  readonly path: string;
  /**
   * IMDS: `token`, `instance`, `info`, …; Entra: `token`, `discovery`, `instance-discovery`, `keys`;
   * ARM: the RBAC action, e.g. `Microsoft.Compute/virtualMachines/write`.
   */
  readonly operation: string;
  /** ARM id of the resource (ARM), or the resource that a token is asked for (IMDS, Entra). */
  readonly resource?: string | undefined;
  /** ARM id of the machine whose IMDS this is. */
  readonly machine?: string | undefined;
  /** Client id in the request (IMDS, Entra). */
  readonly clientId?: string | undefined;
}

/** Every given part must hold. Texts compare without regard to case; `*` stands for anything. */
export interface FaultMatch {
  readonly service?: ServiceName;
  readonly method?: string;
  readonly path?: string;
  readonly operation?: string;
  /** An ARM id matches itself and everything below. */
  readonly resource?: string;
  readonly machine?: string;
  readonly clientId?: string;
}

export interface FaultResponse {
  readonly status: number;
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is; anything but a text as JSON. */
  readonly body?: unknown;
}

/** What goes wrong. Without any effect a fault merely counts. */
export interface Fault {
  /** Made up when absent; the same id again replaces the fault. */
  readonly id?: string;
  readonly match?: FaultMatch;
  /** Lets this many matching requests through first. */
  readonly skip?: number;
  /** Ends after this many; absent: until removed. */
  readonly times?: number;
  /** Waits before anything else happens. */
  readonly delayMs?: number;
  /** Never answers; the request ends when the client gives up. */
  readonly hang?: boolean;
  /** Closes the connection with a RST instead of an answer. */
  readonly reset?: boolean;
  /** An error of the service by name, with its real body; see the README's tables. `params` fill its texts. */
  readonly error?: string;
  readonly params?: Readonly<Record<string, string>>;
  /** Any answer. */
  readonly respond?: FaultResponse;
  /** For writes that start an ARM operation: how long it runs, and how it fails. */
  readonly operationMs?: number;
  readonly operationFailure?: OperationFailure;
}

const FAULT_PARTS: readonly (keyof Fault)[] = [
  "id",
  "match",
  "skip",
  "times",
  "delayMs",
  "hang",
  "reset",
  "error",
  "params",
  "respond",
  "operationMs",
  "operationFailure",
];
const MATCH_PARTS: readonly (keyof FaultMatch)[] = [
  "service",
  "method",
  "path",
  "operation",
  "resource",
  "machine",
  "clientId",
];

export interface ActiveFault {
  readonly id: string;
  readonly fault: Fault;
  /** How many requests it has met, the skipped ones included. */
  readonly met: number;
}

/** Faults in the order they were added. */
export class Faults {
  readonly #faults = new Map<string, { fault: Fault; met: number }>();
  #next = 1;

  /**
   * Returns the fault's id.
   * @throws Error for a name that no fault or match has.
   */
  add(fault: Fault): string {
    rejectUnknownNames("fault", fault, FAULT_PARTS);
    rejectUnknownNames("match", fault.match ?? {}, MATCH_PARTS);
    const id = fault.id ?? `fault-${this.#next++}`;
    this.#faults.set(id, { fault, met: 0 });
    return id;
  }

  remove(id: string): boolean {
    return this.#faults.delete(id);
  }

  clear(): void {
    this.#faults.clear();
  }

  list(): readonly ActiveFault[] {
    return [...this.#faults].map(([id, { fault, met }]) => ({ id, fault, met }));
  }

  /** The faults that strike this request; counts it for each. Used-up faults stay listed until removed. */
  strike(facts: RequestFacts): readonly ActiveFault[] {
    const struck: ActiveFault[] = [];
    for (const [id, entry] of this.#faults) {
      if (!matches(entry.fault.match ?? {}, facts)) continue;
      entry.met += 1;
      const turn = entry.met - (entry.fault.skip ?? 0);
      if (turn > 0 && turn <= (entry.fault.times ?? Infinity)) struck.push({ id, fault: entry.fault, met: entry.met });
    }
    return struck;
  }
}

function matches(match: FaultMatch, facts: RequestFacts): boolean {
  return (
    like(match.service, facts.service) &&
    like(match.method, facts.method) &&
    like(match.path, facts.path) &&
    like(match.operation, facts.operation) &&
    like(match.machine, facts.machine) &&
    like(match.clientId, facts.clientId) &&
    (like(match.resource, facts.resource) ||
      (match.resource?.startsWith("/") === true &&
        facts.resource !== undefined &&
        isWithin(facts.resource, match.resource)))
  );
}

/** Whether `text` is like `pattern`, in which `*` stands for anything; no pattern is like everything. */
export function like(pattern: string | undefined, text: string | undefined): boolean {
  if (pattern === undefined) return true;
  if (text === undefined) return false;
  const parts = pattern.toLowerCase().split("*");
  const subject = text.toLowerCase();
  if (parts.length === 1) return subject === parts[0];
  const [first = "", ...rest] = parts;
  const last = rest.pop() ?? "";
  if (!subject.startsWith(first)) return false;
  let position = first.length;
  for (const part of rest) {
    const found = subject.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  return subject.length - last.length >= position && subject.endsWith(last);
}
