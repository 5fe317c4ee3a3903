import { elapsedClock, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { KubeRequest, KubeTransport } from "./transport.ts";

export interface RequestRateOptions {
  /** Requests per second on average, above 0. */
  readonly perSecond: number;
  /** Requests that may go at once after a quiet time; at least 1. */
  readonly burst: number;
  readonly clock?: Clock | undefined;
}

/** A token bucket, as client-go's `QPS` and `Burst`: requests wait for their turn in the order in which they came. */
export class RequestRate {
  readonly #clock: Clock;
  readonly #elapsed: () => number;
  readonly #intervalMs: number;
  readonly #burst: number;
  /** When the next request could go if the bucket had no depth; behind the present by as much as may go at once. */
  #next: number;

  /** @throws {RangeError} */
  constructor({ perSecond, burst, clock = systemClock }: RequestRateOptions) {
    if (!(perSecond > 0 && burst >= 1))
      throw new RangeError(
        `a rate of ${perSecond} requests per second with a burst of ${burst}: give above 0, and at least 1`,
      );
    this.#clock = clock;
    this.#elapsed = elapsedClock(clock);
    this.#intervalMs = 1000 / perSecond;
    this.#burst = burst;
    this.#next = this.#elapsed() - this.#intervalMs * burst;
  }

  /** Resolves when the request may go. @throws the signal's reason; the turn of who leaves is lost */
  async turn(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const now = this.#elapsed();
    this.#next = Math.max(this.#next, now - this.#intervalMs * this.#burst) + this.#intervalMs;
    const waitMs = this.#next - now;
    if (waitMs <= 0) return;
    await new Promise<void>((resolve, reject) => {
      const timer = this.#clock.setTimeout(() => {
        signal?.removeEventListener("abort", leave);
        resolve();
      }, waitMs);
      const leave = (): void => {
        timer.cancel();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", leave, { once: true });
    });
  }
}

/** Every request and every watch takes a turn. A request's own time-out counts from when it goes. */
export function pacedTransport(transport: KubeTransport, rate: RequestRate): KubeTransport {
  return {
    request: async <T>(request: KubeRequest): Promise<T> => {
      await rate.turn(request.signal);
      return transport.request<T>(request);
    },
    stream: async (request) => {
      await rate.turn(request.signal);
      return transport.stream(request);
    },
    close: () => transport.close(),
  };
}
