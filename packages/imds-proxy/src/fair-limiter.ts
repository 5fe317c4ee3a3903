import type { Clock } from "./clock.ts";
import type { Limiter } from "./token-source.ts";

export interface FairLimiterOptions {
  readonly clock: Pick<Clock, "monotonicMs" | "setTimeout">;
  /** Tasks that may start within any second. */
  readonly ratePerSecond: number;
  readonly concurrency: number;
  /** Waiting tasks per key; default 64. */
  readonly maxQueuedPerKey?: number;
}

/** The queue of that key is full. */
export class LimiterFullError extends Error {
  constructor() {
    super("too many requests of this pod are waiting");
    this.name = "LimiterFullError";
  }
}

const SECOND_MS = 1_000;

/**
 * Starts tasks at a limited rate and a limited number at a time. Keys take turns, so one with a thousand tasks delays
 * another by one task, not by a thousand. The rate holds for every second that one can pick, not on average: IMDS
 * counts so, and others on the machine ask it too.
 */
export class FairLimiter implements Limiter {
  readonly #options: Required<FairLimiterOptions>;
  /** Insertion order is the order of turns; a key without waiting tasks is absent. */
  readonly #queues = new Map<string, (() => void)[]>();
  /** When the latest tasks started, oldest first; as many as may start in a second. */
  readonly #starts: number[] = [];
  #running = 0;
  #timer: { cancel(): void } | undefined;

  constructor(options: FairLimiterOptions) {
    this.#options = { maxQueuedPerKey: 64, ...options };
  }

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    await this.#turn(key);
    try {
      return await task();
    } finally {
      this.#running--;
      this.#pump();
    }
  }

  #turn(key: string): Promise<void> {
    const queue = this.#queues.get(key) ?? [];
    if (queue.length >= this.#options.maxQueuedPerKey) throw new LimiterFullError();
    return new Promise((resolve) => {
      queue.push(resolve);
      this.#queues.set(key, queue);
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#running < this.#options.concurrency && this.#queues.size > 0) {
      const waitMs = this.#waitMs();
      if (waitMs > 0) return this.#wakeIn(waitMs);
      const next = this.#queues.entries().next().value;
      if (next === undefined) return;
      const [key, queue] = next;
      const start = queue.shift();
      this.#queues.delete(key);
      if (queue.length > 0) this.#queues.set(key, queue);
      this.#starts.push(this.#options.clock.monotonicMs());
      this.#running++;
      start?.();
    }
  }

  /** Until another task may start. */
  #waitMs(): number {
    const now = this.#options.clock.monotonicMs();
    while (this.#starts.length > 0 && (this.#starts[0] ?? 0) + SECOND_MS <= now) this.#starts.shift();
    const oldest = this.#starts[0];
    return oldest === undefined || this.#starts.length < this.#options.ratePerSecond ? 0 : oldest + SECOND_MS - now;
  }

  #wakeIn(ms: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#pump();
    }, Math.ceil(ms));
  }
}
