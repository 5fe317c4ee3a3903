import { Backoff, retryAfterOf } from "./backoff.ts";
import { elapsedClock, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";

export type WorkResult = void | { readonly requeueAfterMs: number };

export interface WorkQueueOptions<K> {
  /** Keys handled at the same time. */
  readonly concurrency: number;
  /** The signal aborts when {@link WorkQueue.stop} runs out of patience. */
  readonly handler: (key: K, signal: AbortSignal) => Promise<WorkResult>;
  /** First delay after a failure, default 500; doubles per failure of that key. */
  readonly baseDelayMs?: number | undefined;
  /** Default 60 000. */
  readonly maxDelayMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** In [0, 1). */
  readonly random?: (() => number) | undefined;
  /** Told of each failure and when the key runs again. */
  readonly onError?: ((key: K, error: unknown, retryInMs: number) => void) | undefined;
  /** For metrics: how long a key waited until it was taken. */
  readonly onStart?: ((key: K, waitedMs: number) => void) | undefined;
  /** For metrics: how long the handler took, and whether it succeeded. */
  readonly onDone?: ((key: K, tookMs: number, succeeded: boolean) => void) | undefined;
}

interface Delayed {
  readonly due: number;
  /** The server asked for this wait: nothing shortens it. */
  readonly firm: boolean;
  readonly timer: { cancel(): void };
}

/**
 * Keys to work on, each at most once in the queue and never twice at once.
 *
 * A key that is added while it runs, runs again afterwards. A failed key comes back after an exponential delay of its
 * own; `add` brings it forward (the world changed), except where the error carried `retryAfterMs`.
 */
export class WorkQueue<K = string> {
  readonly #options: WorkQueueOptions<K>;
  readonly #clock: Clock;
  readonly #elapsed: () => number;
  /** Insertion order is the order of work; the value is when the key came. */
  readonly #ready = new Map<K, number>();
  readonly #running = new Map<K, Promise<void>>();
  /** Running keys to run again, and when that was asked. */
  readonly #again = new Map<K, number>();
  readonly #delayed = new Map<K, Delayed>();
  readonly #backoffs = new Map<K, Backoff>();
  readonly #abort = new AbortController();
  #state: "new" | "started" | "stopped" = "new";

  constructor(options: WorkQueueOptions<K>) {
    if (!(options.concurrency >= 1))
      throw new RangeError(`WorkQueue: concurrency is ${options.concurrency}; set it to 1 or more`);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#elapsed = elapsedClock(this.#clock);
  }

  /** Keys that could run now: neither running nor delayed. */
  get depth(): number {
    return this.#ready.size;
  }

  /** Keys being handled. */
  get running(): number {
    return this.#running.size;
  }

  /** Keys that wait for a time. */
  get delayed(): number {
    return this.#delayed.size;
  }

  /** How long the oldest ready key has waited; 0 when there is none. */
  get oldestAgeMs(): number {
    const [oldest] = this.#ready.values();
    return oldest === undefined ? 0 : this.#elapsed() - oldest;
  }

  /** Queues the key; before {@link start} it is kept, after {@link stop} ignored. */
  add(key: K): void {
    if (this.#state === "stopped" || this.#delayed.get(key)?.firm) return;
    this.#undelay(key);
    if (this.#running.has(key)) {
      if (!this.#again.has(key)) this.#again.set(key, this.#elapsed());
      return;
    }
    if (!this.#ready.has(key)) this.#ready.set(key, this.#elapsed());
    this.#pump();
  }

  /** Queues the key in `ms`; an earlier date that was already set stands. */
  addAfter(key: K, ms: number): void {
    if (ms <= 0) return this.add(key);
    this.#delay(key, ms, false);
  }

  /** Forgets a key that is not running: its place, its date, its failures. */
  forget(key: K): void {
    this.#ready.delete(key);
    this.#again.delete(key);
    this.#undelay(key);
    this.#backoffs.delete(key);
  }

  start(): void {
    if (this.#state === "stopped") throw new Error("the work queue was stopped; make a new one");
    this.#state = "started";
    this.#pump();
  }

  /**
   * Takes no more keys, drops those that wait, and resolves when the running ones have ended.
   * With `graceMs` their signal aborts after that time; without, they may take as long as they need.
   */
  async stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#state = "stopped";
    for (const key of this.#delayed.keys()) this.#undelay(key);
    this.#ready.clear();
    this.#again.clear();
    const { graceMs } = options;
    const abort = () => this.#abort.abort(new Error("the work queue was stopped"));
    if (graceMs !== undefined && graceMs <= 0) abort();
    const timer = graceMs !== undefined && graceMs > 0 ? this.#clock.setTimeout(abort, graceMs) : undefined;
    await Promise.all(this.#running.values());
    timer?.cancel();
  }

  #pump(): void {
    if (this.#state !== "started") return;
    for (const [key, since] of this.#ready) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#ready.delete(key);
      this.#running.set(key, this.#run(key, since));
    }
  }

  async #run(key: K, since: number): Promise<void> {
    const startedAt = this.#elapsed();
    this.#options.onStart?.(key, startedAt - since);
    let result: WorkResult = undefined;
    let failure: { readonly error: unknown } | undefined;
    try {
      // A synchronous throw must not escape into `add`, nor the handler run inside it.
      result = await Promise.resolve().then(() => this.#options.handler(key, this.#abort.signal));
    } catch (error) {
      failure = { error };
    }
    this.#running.delete(key);
    this.#options.onDone?.(key, this.#elapsed() - startedAt, failure === undefined);
    if (this.#state === "stopped") return;
    const again = this.#again.get(key);
    this.#again.delete(key);
    if (failure) this.#failed(key, failure.error);
    else {
      this.#backoffs.delete(key);
      if (result && result.requeueAfterMs >= 0) this.addAfter(key, result.requeueAfterMs);
      if (again !== undefined) this.#readyAgain(key, again);
    }
    this.#pump();
  }

  #failed(key: K, error: unknown): void {
    const { baseDelayMs = 500, maxDelayMs = 60_000, random = Math.random, onError } = this.#options;
    let backoff = this.#backoffs.get(key);
    if (!backoff) this.#backoffs.set(key, (backoff = new Backoff({ baseMs: baseDelayMs, maxMs: maxDelayMs, random })));
    const retryAfterMs = retryAfterOf(error);
    const waitMs = backoff.next(retryAfterMs);
    // Even when the key was added meanwhile: a handler that adds its own key and then fails must not spin.
    this.#delay(key, waitMs, retryAfterMs !== undefined);
    onError?.(key, error, waitMs);
  }

  #readyAgain(key: K, since: number): void {
    this.#undelay(key);
    if (!this.#ready.has(key)) this.#ready.set(key, since);
  }

  #delay(key: K, ms: number, firm: boolean): void {
    if (this.#state === "stopped" || this.#ready.has(key)) return;
    const due = this.#elapsed() + ms;
    const present = this.#delayed.get(key);
    if (present && (present.firm || (present.due <= due && !firm))) return;
    this.#undelay(key);
    const timer = this.#clock.setTimeout(() => {
      this.#delayed.delete(key);
      this.add(key);
    }, ms);
    this.#delayed.set(key, { due, firm, timer });
  }

  #undelay(key: K): void {
    this.#delayed.get(key)?.timer.cancel();
    this.#delayed.delete(key);
  }
}
