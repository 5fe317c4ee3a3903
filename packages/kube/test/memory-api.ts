import { KubeError } from "../src/kube-error.ts";
import type { KubeObject, WatchEvent } from "../src/kube-object.ts";
import type { KubeRequest, KubeTransport } from "../src/transport.ts";

interface Watcher {
  readonly push: (event: unknown) => void;
  readonly end: (error?: Error) => void;
}

/**
 * An API server for one collection, in memory, for tests: versions, pages, history that can be compacted, watches that
 * can be cut, bookmarks, streamed lists.
 */
export class MemoryApi implements KubeTransport {
  readonly requests: KubeRequest[] = [];
  readonly objects = new Map<string, KubeObject>();
  readonly watchers = new Set<Watcher>();
  /** Answers to come instead of real ones. */
  readonly failures: Error[] = [];
  offersWatchList = true;
  /** Runs after each page of a list. */
  afterPage: () => void = () => {};
  #version = 10;
  #compacted = 0;
  readonly #history: { readonly version: number; readonly event: WatchEvent }[] = [];
  readonly #snapshots = new Map<number, readonly KubeObject[]>();

  put(name: string, fields: Record<string, unknown> = {}): void {
    const present = this.objects.has(name);
    const object = {
      metadata: { name, namespace: "ns", uid: `uid-${name}`, resourceVersion: String(++this.#version) },
      ...fields,
    };
    this.objects.set(name, object);
    this.#record(present ? "MODIFIED" : "ADDED", object);
  }

  remove(name: string): void {
    const object = this.objects.get(name);
    if (!object) return;
    this.objects.delete(name);
    this.#record("DELETED", { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } });
  }

  bookmark(): void {
    for (const watcher of this.watchers)
      watcher.push({ type: "BOOKMARK", object: { metadata: { resourceVersion: String(this.#version) } } });
  }

  /** History before now is gone. */
  compact(): void {
    this.#compacted = this.#version;
    this.#history.length = 0;
    this.#snapshots.clear();
  }

  /** Ends all watches: cleanly, or as a broken connection. */
  cut(error?: Error): void {
    for (const watcher of this.watchers) watcher.end(error);
  }

  /** As an API server does whose cache lost its place. */
  expireWatches(): void {
    const object = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
    for (const watcher of this.watchers) {
      watcher.push({ type: "ERROR", object });
      watcher.end();
    }
  }

  async request<T>(request: KubeRequest): Promise<T> {
    this.requests.push(request);
    await Promise.resolve();
    request.signal?.throwIfAborted();
    const failure = this.failures.shift();
    if (failure) throw failure;
    const { limit, continue: token } = request.query ?? {};
    const [version, offset] = token === undefined ? [this.#version, 0] : String(token).split("/").map(Number);
    if (token === undefined) this.#snapshots.set(this.#version, [...this.objects.values()]);
    const all = this.#snapshots.get(version!);
    if (!all) throw expired();
    const end = typeof limit === "number" ? offset! + limit : all.length;
    const answer = {
      metadata: { resourceVersion: String(version), continue: end < all.length ? `${version}/${end}` : "" },
      items: structuredClone(all.slice(offset, end)),
    };
    this.afterPage();
    return answer as T;
  }

  async stream(request: KubeRequest): Promise<AsyncIterable<unknown>> {
    this.requests.push(request);
    await Promise.resolve();
    request.signal?.throwIfAborted();
    const failure = this.failures.shift();
    if (failure) throw failure;
    const { resourceVersion, sendInitialEvents } = request.query ?? {};
    if (sendInitialEvents && !this.offersWatchList)
      throw new KubeError("sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled", {
        status: 422,
        reason: "Invalid",
      });
    const events: unknown[] = [];
    if (sendInitialEvents) {
      for (const object of this.objects.values()) events.push({ type: "ADDED", object });
      const annotations = { "k8s.io/initial-events-end": "true" };
      events.push({ type: "BOOKMARK", object: { metadata: { resourceVersion: String(this.#version), annotations } } });
    } else {
      const from = Number(resourceVersion);
      if (from < this.#compacted) throw expired();
      for (const { version, event } of this.#history) if (version > from) events.push(event);
    }
    return this.#watch(structuredClone(events), request.signal);
  }

  close(): Promise<void> {
    this.cut();
    return Promise.resolve();
  }

  #watch(queue: unknown[], signal: AbortSignal | undefined): AsyncIterable<unknown> {
    let over: { readonly error: Error | undefined } | undefined;
    let wake = () => {};
    const watcher: Watcher = {
      push: (event) => {
        if (!over) queue.push(structuredClone(event));
        wake();
      },
      end: (error) => {
        over ??= { error };
        this.watchers.delete(watcher);
        wake();
      },
    };
    this.watchers.add(watcher);
    signal?.addEventListener("abort", () => watcher.end(signal.reason as Error), { once: true });
    if (signal?.aborted) watcher.end(signal.reason as Error);
    return (async function* () {
      for (;;) {
        while (queue.length > 0) yield queue.shift();
        if (over?.error) throw over.error;
        if (over) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    })();
  }

  #record(type: WatchEvent["type"], object: KubeObject): void {
    const event = { type, object };
    this.#history.push({ version: this.#version, event });
    for (const watcher of this.watchers) watcher.push(event);
  }
}

export function expired(): KubeError {
  return new KubeError("too old resource version", { status: 410, reason: "Expired" });
}

export function broken(): KubeError {
  return new KubeError("socket hang up", { status: 0, reason: "NetworkError" });
}
