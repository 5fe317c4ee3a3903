/** Identical events within this time are one event with a count, as in client-go. */
const WINDOW_MS = 10 * 60_000;
const LIMIT = 4096;

/** One Event object on the server and how often it happened. */
export interface EventSeries {
  name: string;
  readonly namespace: string;
  readonly firstAt: number;
  lastAt: number;
  count: number;
  /** The server has it; else it must be created. */
  stored: boolean;
  /** Waits to be sent: further occurrences only raise the count. */
  queued: boolean;
}

/** Event series by what makes events identical; the least recently seen are forgotten. */
export class EventSeriesCache {
  readonly #series = new Map<string, EventSeries>();

  find(key: string, now: number): EventSeries | undefined {
    const series = this.#series.get(key);
    if (!series) return undefined;
    this.#series.delete(key);
    if (now - series.lastAt > WINDOW_MS) return undefined;
    this.#series.set(key, series);
    return series;
  }

  add(key: string, series: EventSeries): void {
    this.#series.set(key, series);
    if (this.#series.size > LIMIT) this.#series.delete(this.#series.keys().next().value!);
  }
}

/** Tokens per object, so that one object in a loop cannot fill etcd. Burst and rate are client-go's. */
export class SpamFilter {
  static readonly BURST = 25;
  static readonly REFILL_MS = 300_000;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  allows(object: string, elapsedMs: number): boolean {
    const bucket = this.#buckets.get(object) ?? { tokens: SpamFilter.BURST, at: elapsedMs };
    this.#buckets.delete(object);
    const tokens = Math.min(SpamFilter.BURST, bucket.tokens + (elapsedMs - bucket.at) / SpamFilter.REFILL_MS);
    const allowed = tokens >= 1;
    this.#buckets.set(object, { tokens: allowed ? tokens - 1 : tokens, at: elapsedMs });
    if (this.#buckets.size > LIMIT) this.#buckets.delete(this.#buckets.keys().next().value!);
    return allowed;
  }
}
