/** Time and timers, injected so that tests need not wait. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number;
  setTimeout(callback: () => void, ms: number): { cancel(): void };
  /** Milliseconds that never jump. A clock without it is measured by `now()`. */
  monotonic?(): number;
}

// Node treats a longer delay as 1 ms.
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback, ms) {
    const timer = setTimeout(callback, Math.min(Math.max(0, ms), LONGEST_TIMER));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** For durations: a step of the wall clock must neither shorten nor lengthen them. */
export function elapsedClock(clock: Clock): () => number {
  return clock.monotonic === undefined ? () => clock.now() : () => clock.monotonic!();
}

/** Resolves after `ms` or when the signal aborts, whichever is first; never rejects. */
export function delay(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
