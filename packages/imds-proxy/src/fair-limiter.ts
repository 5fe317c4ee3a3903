import type { Clock } from "./clock.ts";

export interface FairLimiterOptions {
  readonly clock: Pick<Clock, "monotonicMs" | "setTimeout">;
  readonly ratePerSecond: number;
  /** Tasks that may start at once after a quiet time; default: the rate. */
  readonly burst?: number;
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

/**
 * Starts tasks at a limited rate and a limited number at a time. Keys take turns, so one with a thousand tasks delays
 * another by one task, not by a thousand.
 */
export class FairLimiter {
  readonly #options: Required<FairLimiterOptions>;
  /** Insertion order is the order of turns; a key without waiting tasks is absent. */
  readonly #queues = new Map<string, (() => void)[]>();
  #running = 0;
  #tokens: number;
  #refilledAt: number;
  #timer: { cancel(): void } | undefined;

  constructor(options: FairLimiterOptions) {
    this.#options = { burst: options.ratePerSecond, maxQueuedPerKey: 64, ...options };
    this.#tokens = this.#options.burst;
    this.#refilledAt = this.#options.clock.monotonicMs();
  }

  /** @throws LimiterFullError, at once */
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
    this.#refill();
    while (this.#running < this.#options.concurrency && this.#queues.size > 0) {
      if (this.#tokens < 1) return this.#wakeWhenRefilled();
      const next = this.#queues.entries().next().value;
      if (next === undefined) return;
      const [key, queue] = next;
      const start = queue.shift();
      this.#queues.delete(key);
      if (queue.length > 0) this.#queues.set(key, queue);
      this.#tokens--;
      this.#running++;
      start?.();
    }
  }

  #refill(): void {
    const now = this.#options.clock.monotonicMs();
    const gained = ((now - this.#refilledAt) * this.#options.ratePerSecond) / 1000;
    this.#tokens = Math.min(this.#options.burst, this.#tokens + gained);
    this.#refilledAt = now;
  }

  #wakeWhenRefilled(): void {
    if (this.#timer !== undefined) return;
    const missing = 1 - this.#tokens;
    this.#timer = this.#options.clock.setTimeout(
      () => {
        this.#timer = undefined;
        this.#pump();
      },
      Math.ceil((missing * 1000) / this.#options.ratePerSecond),
    );
  }
}
