import { Backoff, retryAfterOf } from "./backoff.ts";
import { delay, elapsedClock, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { KubeError } from "./kube-error.ts";
import type { KubeObject } from "./kube-object.ts";
import { listInto } from "./paged-list.ts";
import { ReflectorStore, Snapshot } from "./reflector-store.ts";
import type { ReflectorHandler } from "./reflector-store.ts";
import { ResourceClient } from "./resource-client.ts";
import type { Resource } from "./resource.ts";
import { silentLog } from "./transport.ts";
import type { KubeTransport, Log } from "./transport.ts";
import { followWatch, WatchListUnsupported } from "./watch-session.ts";

export interface ReflectorOptions<T> {
  readonly transport: KubeTransport;
  readonly resource: Resource;
  /** What to keep of an object; undefined keeps nothing. Must depend on the object alone. */
  readonly project: (object: KubeObject) => T | undefined;
  /** Absent: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Objects per page of a list, default 500. 0: one unpaged list, which the API server answers from memory instead of etcd. */
  readonly pageSize?: number | undefined;
  /** Start with a streamed list (`sendInitialEvents`); a server without it is listed instead. Default false. */
  readonly useWatchList?: boolean | undefined;
  /** A watch without event or bookmark for this long is opened anew. Default 90 s: API servers send a bookmark a minute. */
  readonly stallTimeoutMs?: number | undefined;
  /** Longest wait between attempts, default 15 s. There is no last attempt. */
  readonly maxBackoffMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** In [0, 1). */
  readonly random?: (() => number) | undefined;
  readonly log?: Log | undefined;
}

/** Totals since the start, for metrics. */
export interface ReflectorCounters {
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  readonly bookmarks: number;
  readonly failures: number;
}

/** A watch that lived this long was healthy: the next one is opened at once. Shorter ones count as failures, lest they spin. */
const HEALTHY_MS = 5_000;
const BASE_BACKOFF_MS = 200;
/** A server whose history went backwards (etcd restored) refuses our version for ever without saying 410. */
const REFUSALS_BEFORE_RELIST = 3;

/**
 * Keeps `items` equal to what the API server stores: lists, watches, resumes where the watch was cut, lists again when
 * history is gone. Never gives up until stopped.
 */
export class Reflector<T> {
  readonly #client: ResourceClient;
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #elapsed: () => number;
  readonly #random: () => number;
  readonly #log: Log;
  readonly #store: ReflectorStore<T>;
  readonly #backoff: Backoff;
  readonly #stopped = new AbortController();
  readonly #counters = { lists: 0, watches: 0, events: 0, bookmarks: 0, failures: 0 };
  #running: Promise<void> | undefined;
  #resourceVersion: string | undefined;
  #useWatchList: boolean;
  #refusals = 0;
  #provenAt: number | undefined;
  #openedAt: number | undefined;
  #problem: string | undefined;
  #waiting: (() => void)[] = [];

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#client = new ResourceClient(options.transport, options.resource);
    this.#clock = options.clock ?? systemClock;
    this.#elapsed = elapsedClock(this.#clock);
    this.#random = options.random ?? Math.random;
    this.#log = options.log ?? silentLog;
    this.#store = new ReflectorStore(options.project, this.#log);
    this.#backoff = new Backoff({
      baseMs: BASE_BACKOFF_MS,
      maxMs: options.maxBackoffMs ?? 15_000,
      random: this.#random,
    });
    this.#useWatchList = options.useWatchList ?? false;
  }

  /** Key: `namespace/name`, name alone for cluster-scoped objects. Always the same map, changed in place. */
  get items(): ReadonlyMap<string, T> {
    return this.#store.items;
  }

  /** True once a first complete set is stored, for ever. */
  get synced(): boolean {
    return this.#store.synced;
  }

  /** Why the last attempt failed; undefined while all is well. For readiness and diagnosis. */
  get problem(): string | undefined {
    return this.#problem;
  }

  get counters(): ReflectorCounters {
    return { ...this.#counters };
  }

  /** Milliseconds since the API server last proved the items current: an event, a bookmark, a list. Infinity before the first. */
  staleForMs(): number {
    return this.#provenAt === undefined ? Infinity : this.#elapsed() - this.#provenAt;
  }

  /** Calling it again does nothing; a stopped reflector cannot start again. */
  start(): void {
    if (this.#stopped.signal.aborted)
      throw new Error(`the reflector of ${this.#options.resource.plural} was stopped; make a new one`);
    this.#running ??= this.#run(this.#stopped.signal);
  }

  /** Ends the watch; afterwards no handler is called. Items stay readable. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the reflector was stopped"));
    await this.#running;
  }

  /** Rejects with the signal's reason when that aborts first. */
  whenSynced(signal?: AbortSignal): Promise<void> {
    if (this.synced) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const done = () => {
        signal?.removeEventListener("abort", failed);
        resolve();
      };
      const failed = () => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== done);
        reject(signal!.reason as Error);
      };
      signal?.addEventListener("abort", failed, { once: true });
      this.#waiting.push(done);
    });
  }

  /**
   * The handler first gets an upsert for each stored item (and `synced`), then every change in order; `items` and all
   * indexes already show it. With `first` it is called before ordinary handlers: what they read must be derived by then.
   */
  subscribe(handler: ReflectorHandler<T>, options: { readonly first?: boolean } = {}): () => void {
    return this.#store.subscribe(handler, options.first ?? false);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let failure: unknown;
      this.#openedAt = undefined;
      try {
        if (this.#resourceVersion === undefined && !this.#useWatchList) await this.#list(signal);
        await this.#watch(signal);
      } catch (error) {
        failure = error;
      }
      if (signal.aborted) return;
      if (failure instanceof WatchListUnsupported) {
        this.#useWatchList = false;
        this.#log.info(
          { resource: this.#options.resource.plural, error: failure.message },
          "no streamed list, listing instead",
        );
        continue;
      }
      const healthy = this.#openedAt !== undefined && this.#elapsed() - this.#openedAt >= HEALTHY_MS;
      if (healthy) this.#backoff.reset();
      if (failure !== undefined) this.#failed(failure);
      else if (healthy) continue;
      await delay(this.#clock, this.#backoff.next(retryAfterOf(failure)), signal);
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const snapshot = new Snapshot(this.#store);
    this.#counters.lists += 1;
    const { pageSize = 500 } = this.#options;
    const version = await listInto(this.#client, {
      ...this.#scope(),
      pageSize,
      signal,
      begin: () => snapshot.entries.clear(),
      onObject: (object) => snapshot.add(object),
    });
    signal.throwIfAborted();
    this.#commit(snapshot, version);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    this.#counters.watches += 1;
    // While there is no version to go on from, events belong to the set in the making.
    let initial = this.#resourceVersion === undefined ? new Snapshot(this.#store) : undefined;
    await followWatch(this.#client, {
      scope: this.#scope(),
      resourceVersion: this.#resourceVersion,
      stallTimeoutMs: this.#options.stallTimeoutMs ?? 90_000,
      clock: this.#clock,
      random: this.#random,
      signal,
      onOpen: () => {
        this.#openedAt = this.#elapsed();
        if (!initial) this.#problem = undefined;
      },
      onInitialEnd: (version) => {
        const complete = initial!;
        initial = undefined;
        this.#commit(complete, version);
      },
      onUpsert: (object) => {
        this.#counters.events += 1;
        if (initial) return initial.add(object);
        this.#reached(object);
        this.#store.upsert(object);
      },
      onDelete: (object, key) => {
        this.#counters.events += 1;
        if (initial) return initial.remove(key);
        this.#reached(object);
        this.#store.remove(key);
      },
      onBookmark: (object) => {
        this.#counters.bookmarks += 1;
        this.#reached(object);
      },
    });
  }

  #scope(): { namespace: string | undefined; labelSelector: string | undefined; fieldSelector: string | undefined } {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return { namespace, labelSelector, fieldSelector };
  }

  #reached(object: KubeObject): void {
    this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion;
    this.#provenAt = this.#elapsed();
    this.#refusals = 0;
  }

  #commit(snapshot: Snapshot<T>, version: string): void {
    this.#resourceVersion = version;
    this.#provenAt = this.#elapsed();
    this.#problem = undefined;
    this.#store.replace(snapshot);
    for (const done of this.#waiting.splice(0)) done();
  }

  #failed(error: unknown): void {
    this.#counters.failures += 1;
    this.#problem = error instanceof Error ? error.message : String(error);
    if (!(error instanceof KubeError)) this.#resourceVersion = undefined;
    else if (error.status === 410) this.#resourceVersion = undefined;
    else if (
      error.status >= 400 &&
      ![401, 403, 429].includes(error.status) &&
      ++this.#refusals >= REFUSALS_BEFORE_RELIST
    ) {
      this.#refusals = 0;
      this.#resourceVersion = undefined;
    }
    this.#log.warn(
      { resource: this.#options.resource.plural, error: this.#problem, failures: this.#backoff.failures + 1 },
      "watch broke, trying again",
    );
    this.#store.failed();
  }
}
