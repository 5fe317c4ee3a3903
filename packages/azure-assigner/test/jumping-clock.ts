import type { Clock } from "../src/clock.ts";

/** Time that jumps to the next timer as soon as somebody waits for it. */
export class JumpingClock implements Clock {
  time = 0;
  now(): number {
    return this.time;
  }
  setTimeout(callback: () => void, milliseconds: number): { cancel(): void } {
    let cancelled = false;
    queueMicrotask(() => {
      if (cancelled) return;
      this.time += milliseconds;
      callback();
    });
    return { cancel: () => (cancelled = true) };
  }
}
