import type { ServerResponse } from "node:http";
import type { AuditEntry } from "./audit-log.ts";
import type { KubeObject } from "./json.ts";
import { resourceVersion } from "./list.ts";
import type { Representation } from "./negotiation.ts";
import type { ResourceType } from "./resource-type.ts";
import { apiVersionOf, shown } from "./resource-type.ts";
import type { Selection } from "./selector.ts";
import { textAt } from "./json.ts";
import { expired, invalid, tooLargeResourceVersion } from "./status.ts";
import type { Cause } from "./status.ts";
import type { Collection, StoredRecord, StoreEvent } from "./store.ts";
import { partialMetadata, rowObject, table } from "./table.ts";

/** A reader that lets this much pile up is cut off, as by kube-apiserver. */
const BACKLOG_LIMIT = 64 * 1024 * 1024;

export interface WatchRequest {
  readonly type: ResourceType;
  readonly collection: Collection;
  readonly prefix: string;
  readonly selection: Selection;
  readonly query: URLSearchParams;
  readonly form: Representation;
}

type EventType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";

/** Lines that all plain watches of an event share, so that each event is written out once. */
const sharedLines = new WeakMap<StoredRecord, Map<string, Buffer>>();

/** One open watch: an event per line until its time is up, the client leaves or somebody cuts it. */
export class Watch {
  readonly request: WatchRequest;
  readonly #response: ServerResponse;
  readonly #now: () => number;
  readonly #revision: () => number;
  readonly #bookmarks: boolean;
  #unsubscribe: () => void = () => {};
  readonly #timers: NodeJS.Timeout[] = [];
  #held: StoreEvent[] | undefined;
  #columnsSent = false;
  #ended = false;
  /** Called once when the watch has ended. */
  onEnd: () => void = () => {};
  readonly #entry: AuditEntry;

  constructor(
    request: WatchRequest,
    o: { response: ServerResponse; entry: AuditEntry; now: () => number; revision: () => number },
  ) {
    this.request = request;
    this.#response = o.response;
    this.#entry = o.entry;
    this.#now = o.now;
    this.#revision = o.revision;
    this.#bookmarks = flag(request.query, "allowWatchBookmarks");
  }

  /** Sends what is due at once and follows the collection from then on. */
  start(): void {
    const { collection, query } = this.request;
    const initial = query.get("sendInitialEvents");
    checkOptions(query, initial);
    const from = resourceVersion(query, true);
    const current = this.#revision();
    const wantsState = initial === null ? from === undefined || from === 0 : flag(query, "sendInitialEvents");
    if (wantsState && from !== undefined && from > current) throw tooLargeResourceVersion(from, current);
    // `since` is undefined for a revision that the history no longer reaches.
    const start = from === undefined || from === 0 ? current : from;
    const missed = wantsState ? [] : collection.since(start);

    this.#response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
    this.#response.flushHeaders();
    this.#response.on("close", () => this.end());
    if (missed === undefined) {
      const oldest = collection.compacted;
      this.#write(
        Buffer.from(
          `${JSON.stringify({ type: "ERROR", object: expired(`too old resource version: ${start} (${oldest})`).status() })}\n`,
        ),
      );
      this.end();
      return;
    }
    this.#unsubscribe = collection.subscribe((event) => this.#take(event));
    if (wantsState) {
      for (const record of collection.list(this.request.prefix))
        if (this.request.selection.matches(record.object)) this.#send("ADDED", record);
      if (initial !== null && this.#bookmarks) this.#bookmark(current, true);
    }
    for (const event of missed) this.#deliver(event);
    const seconds = Number(query.get("timeoutSeconds") ?? 0);
    // 30 to 60 minutes where the client does not care, as --min-request-timeout.
    const limit = seconds > 0 ? seconds * 1000 : 1_800_000 * (1 + Math.random());
    this.#timers.push(setTimeout(() => this.end(), limit).unref());
    // The last word comes two seconds before the end, so that it arrives.
    if (limit > 2000) this.#timers.push(setTimeout(() => this.bookmark(), limit - 2000).unref());
  }

  /** Tells the client how far it has seen everything. */
  bookmark(): void {
    if (this.#bookmarks && !this.#ended && this.#held === undefined) this.#bookmark(this.#revision(), false);
  }

  /** Keeps events back; the connection stays open and silent. */
  stall(): void {
    this.#held ??= [];
  }

  /** Sends what was kept back. */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.#deliver(event);
  }

  /** Ends the stream in order, or by a reset. */
  end(how: "close" | "reset" = "close"): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#unsubscribe();
    if (how === "reset") this.#response.socket?.destroy();
    else this.#response.end();
    this.onEnd();
  }

  #take(event: StoreEvent): void {
    if (this.#held === undefined) this.#deliver(event);
    else this.#held.push(event);
  }

  /** What an event is to somebody who sees only a selection: things come into view and leave it. */
  #deliver(event: StoreEvent): void {
    const { prefix, selection } = this.request;
    if (!event.record.key.startsWith(prefix)) return;
    const { nodeName } = selection;
    if (
      nodeName !== undefined &&
      textAt(event.record.object, "spec", "nodeName") !== nodeName &&
      (event.previous === undefined || textAt(event.previous.object, "spec", "nodeName") !== nodeName)
    )
      return;
    const was = event.previous !== undefined && selection.matches(event.previous.object);
    const is = event.type !== "DELETED" && selection.matches(event.record.object);
    if (is) this.#send(was ? "MODIFIED" : "ADDED", event.record);
    else if (was) this.#send("DELETED", event.type === "DELETED" ? event.record : departed(event));
  }

  #send(type: EventType, record: StoredRecord): void {
    this.#entry.events += 1;
    if (this.request.form === "json" && this.request.type.view === undefined) this.#write(sharedLine(type, record));
    else
      this.#write(
        Buffer.from(`${JSON.stringify({ type, object: this.#formed(shown(this.request.type, record.object)) })}\n`),
      );
  }

  #formed(object: KubeObject): unknown {
    if (this.request.form === "json") return object;
    if (this.request.form === "metadata") return partialMetadata(object);
    const definitions = !this.#columnsSent;
    this.#columnsSent = true;
    return table(this.request.type, [object], {
      metadata: { resourceVersion: object.metadata.resourceVersion },
      include: rowObject(this.request.query),
      now: this.#now(),
      definitions,
    });
  }

  #bookmark(revision: number, initialEnd: boolean): void {
    const { type, form } = this.request;
    const metadata = {
      resourceVersion: String(revision),
      ...(initialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    };
    let object: unknown = { kind: type.kind, apiVersion: apiVersionOf(type), metadata };
    if (form === "metadata") object = { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata };
    if (form === "table")
      object = { kind: "Table", apiVersion: "meta.k8s.io/v1", metadata, columnDefinitions: null, rows: [] };
    this.#write(Buffer.from(`${JSON.stringify({ type: "BOOKMARK", object })}\n`));
  }

  #write(line: Buffer): void {
    if (this.#response.writableEnded) return;
    this.#entry.bytes += line.length;
    this.#response.write(line);
    if (this.#response.writableLength > BACKLOG_LIMIT) this.end("reset");
  }
}

function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== "false" && value !== "0";
}

function checkOptions(query: URLSearchParams, initial: string | null): void {
  const match = query.get("resourceVersionMatch") ?? "";
  const causes: Cause[] = [];
  const bad = (field: string, message: string): void =>
    void causes.push({ reason: "FieldValueForbidden", field, message: `Forbidden: ${message}` });
  if (initial === null && match !== "")
    bad("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  if (initial !== null && match !== "NotOlderThan") {
    bad("resourceVersionMatch", `sendInitialEvents requires setting resourceVersionMatch to NotOlderThan`);
  }
  if (initial !== null && match !== "" && match !== "NotOlderThan") {
    const message = `Unsupported value: ${JSON.stringify(match)}: supported values: "NotOlderThan"`;
    causes.push({ reason: "FieldValueNotSupported", field: "resourceVersionMatch", message });
  }
  if (causes.length > 0) throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", causes);
}

/** An object that left a selection is shown as it last was in it, at the revision at which it left. */
const departures = new WeakMap<StoreEvent, StoredRecord>();

function departed(event: StoreEvent): StoredRecord {
  let record = departures.get(event);
  if (record === undefined) {
    const before = (event.previous as StoredRecord).object;
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(event.revision) } };
    record = { key: event.record.key, object, json: JSON.stringify(object), revision: event.revision };
    departures.set(event, record);
  }
  return record;
}

function sharedLine(type: EventType, record: StoredRecord): Buffer {
  let lines = sharedLines.get(record);
  if (lines === undefined) {
    lines = new Map();
    sharedLines.set(record, lines);
  }
  let line = lines.get(type);
  if (line === undefined) {
    line = Buffer.from(`{"type":"${type}","object":${record.json}}\n`);
    lines.set(type, line);
  }
  return line;
}
