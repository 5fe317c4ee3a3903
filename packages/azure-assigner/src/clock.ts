/** Time as this package needs it. `now` is wall-clock milliseconds since the epoch. Structurally the Clock of @podid/kube. */
export interface Clock {
  now(): number;
  /** Milliseconds that no correction of the wall clock moves; absent: `now` serves. */
  monotonic?(): number;
  setTimeout(callback: () => void, milliseconds: number): { cancel(): void };
}

// Node treats a longer delay as 1 ms.
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (callback, milliseconds) => {
    const timer = setTimeout(callback, Math.min(milliseconds, LONGEST_TIMER));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** For durations: a clock that is set while the process runs must neither open nor close anything. */
export function elapsedMs(clock: Clock): number {
  return clock.monotonic?.() ?? clock.now();
}

/** Resolves after `milliseconds`; rejects with the signal's reason as soon as it is aborted. */
export function sleep(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
