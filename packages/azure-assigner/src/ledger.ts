import type { NodeGroup } from "@podid/crd-types";
import type { AttachedIdentity, ComputeState, IdentityRef } from "./compute-state.ts";

/**
 * One identity that was, or is about to be, attached by us.
 * - `pending`: written before the request that attaches it; after a crash pending and present means ours.
 * - `attached`: the request succeeded.
 * - `detaching`: written before the request that detaches it.
 */
export interface LedgerEntry {
  readonly id: string;
  readonly state: "pending" | "attached" | "detaching";
  /** `upstream`: attached by aad-pod-identity and taken over once. */
  readonly origin: "podid" | "upstream";
  readonly principalId?: string;
  /** Milliseconds since the epoch after which a request in flight can no longer change anything. */
  readonly deadline?: number;
  /** Of a detach: the etag that its request names. A machine with another one is safe from it. */
  readonly etag?: string;
  /** Of a detach: the term of leadership that began it. */
  readonly epoch?: number;
  /** Of a detach: attached again meanwhile, without the machine's etag having changed. */
  readonly reasserted?: boolean;
}

/** A request that ARM has accepted and may still work on. */
export interface RunningOperation {
  /** What `Arm.resume` takes. */
  readonly operation: string;
  /** Milliseconds since the epoch after which nobody needs to follow it any more. */
  readonly deadline: number;
}

/** What we own on one VM or scale set. Whatever is attached and not in here is somebody else's. */
export interface Ledger {
  /** ARM id of the VM or scale set. */
  readonly group: string;
  /** The machine the entries are about; another one of the same name voids them. */
  readonly uniqueId?: string;
  /** Whether the take-over of what upstream attached has been done; it happens once. */
  readonly adopted: boolean;
  /** Raised by every new leader. */
  readonly epoch: number;
  /** Whoever leads next follows it to its end before planning anything. */
  readonly running?: RunningOperation;
  /** By lower-cased ARM id of the identity. */
  readonly entries: Readonly<Record<string, LedgerEntry>>;
}

/** A ledger with the opaque version that a compare-and-swap needs; `version` is undefined when nothing is stored yet. */
export interface StoredLedger {
  readonly ledger: Ledger;
  readonly version: string | undefined;
}

/** Where ledgers live. Every implementation must be durable before `save` resolves. */
export interface LedgerStore {
  load(group: NodeGroup): Promise<StoredLedger>;
  /** @throws {LedgerConflict} when the stored version is not `version` any more */
  save(group: NodeGroup, next: Ledger, version: string | undefined): Promise<StoredLedger>;
  /** Forgets the ledger of a machine that is gone. */
  remove(group: NodeGroup): Promise<void>;
}

/** Somebody else wrote the ledger in between: read again. */
export class LedgerConflict extends Error {
  override readonly name = "LedgerConflict";
}

interface LedgerChange {
  readonly attach: readonly IdentityRef[];
  readonly detach: readonly IdentityRef[];
}

export function emptyLedger(group: NodeGroup): Ledger {
  return { group: group.id, adopted: false, epoch: 0, entries: {} };
}

/**
 * The ledger in the light of what ARM says: void for a re-created machine, pending and present becomes attached,
 * and what is gone from the machine is no longer owned, whoever took it away. An entry stays `detaching` until its
 * deadline, because a request that a former leader sent may still be on its way.
 */
export function settle(ledger: Ledger, state: ComputeState, now: number): Ledger {
  const recreated = ledger.uniqueId !== undefined && state.uniqueId !== undefined && ledger.uniqueId !== state.uniqueId;
  const uniqueId = state.uniqueId ?? ledger.uniqueId;
  const entries: Record<string, LedgerEntry> = {};
  if (!recreated) {
    for (const [key, entry] of Object.entries(ledger.entries)) {
      const attached = state.attached.get(key);
      if (attached === undefined) continue;
      const inFlight = entry.state === "detaching" && entry.deadline !== undefined && now < entry.deadline;
      entries[key] = inFlight ? entry : attachedEntry(attached, entry.origin);
    }
  }
  return { ...withoutRunning(ledger), ...(uniqueId !== undefined && { uniqueId }), entries };
}

/**
 * Entries written before a request: adds become pending, removes detaching. What is being detached and is attached again stays
 * `detaching` until the answer proves that the former request cannot come true any more.
 */
export function recordIntent(ledger: Ledger, request: LedgerChange, deadline: number, etag?: string): Ledger {
  const entries = { ...ledger.entries };
  for (const { key, id } of request.attach) {
    if (entries[key]?.state !== "detaching")
      entries[key] = { id, state: "pending", origin: entries[key]?.origin ?? "podid", deadline };
  }
  for (const { key } of request.detach) {
    const entry = entries[key];
    if (entry === undefined) continue;
    const { id, origin, principalId } = entry;
    entries[key] = {
      id,
      state: "detaching",
      origin,
      ...(principalId !== undefined && { principalId }),
      deadline,
      ...(etag !== undefined && { etag }),
      epoch: ledger.epoch,
    };
  }
  return { ...ledger, entries };
}

/** ARM has accepted a request. */
export function recordRunning(ledger: Ledger, running: RunningOperation): Ledger {
  return { ...ledger, running };
}

/** A new term of leadership; whoever wrote before meets a conflict. */
export function raiseEpoch(ledger: Ledger, epoch: number): Ledger {
  return { ...ledger, epoch };
}

function withoutRunning({ running: _running, ...rest }: Ledger): Ledger {
  return rest;
}

/** The ledger after a request succeeded: what it detached is forgotten, what it attached is ours. */
export function recordResult(ledger: Ledger, request: LedgerChange, state: ComputeState): Ledger {
  const entries = { ...ledger.entries };
  for (const { key } of request.detach) if (!state.attached.has(key)) delete entries[key];
  for (const { key } of request.attach) {
    const attached = state.attached.get(key);
    const before = entries[key];
    if (attached === undefined) delete entries[key];
    else if (before?.state === "detaching" && before.etag === state.etag)
      entries[key] = { ...before, reasserted: true };
    else entries[key] = attachedEntry(attached, before?.origin ?? "podid");
  }
  return { ...withoutRunning(ledger), entries };
}

/** Takes over what upstream's controller attached: `keys` that are on the machine and not ours yet. Later calls change nothing. */
export function adopt(ledger: Ledger, state: ComputeState, keys: Iterable<string>): Ledger {
  if (ledger.adopted) return ledger;
  const entries = { ...ledger.entries };
  for (const key of keys) {
    const attached = state.attached.get(key);
    if (attached !== undefined) entries[key] ??= attachedEntry(attached, "upstream");
  }
  return { ...ledger, adopted: true, entries };
}

/** Whether two ledgers say the same, so that nothing needs to be written. */
export function sameLedger(a: Ledger, b: Ledger): boolean {
  return canonical(a) === canonical(b);
}

function canonical({ entries, ...rest }: Ledger): string {
  const sorted = (value: object): [string, unknown][] => Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([sorted(rest), sorted(entries).map(([key, entry]) => [key, sorted(entry as LedgerEntry)])]);
}

function attachedEntry(attached: AttachedIdentity, origin: LedgerEntry["origin"]): LedgerEntry {
  return {
    id: attached.id,
    state: "attached",
    origin,
    ...(attached.principalId !== undefined && { principalId: attached.principalId }),
  };
}
