import type { Clock } from "../src/clock.ts";

/** A clock for tests: time passes only in {@link advance}, which also lets promises settle between timers. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #epoch: number;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#epoch = epochMs;
  }

  wallMs(): number {
    return this.#epoch + this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  setTimeout(run: () => void, ms: number): { cancel(): void } {
    const timer = { at: this.#now + Math.max(0, ms), run };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets everything that waits only for promises run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
