/**
 * Lines about refusals: a pod that is refused again and again says nothing new, and must not fill the log. A few lines
 * per key and window are let through; the first one of a later window says how many were not.
 */
export class LogLimiter {
  readonly #monotonicMs: () => number;
  readonly #perKey: number;
  readonly #total: number;
  readonly #windowMs: number;
  #keys = new Map<string, { lines: number; suppressed: number }>();
  #lines = 0;
  #windowEndsMs = -Infinity;

  constructor(options: {
    readonly monotonicMs: () => number;
    readonly perKey?: number;
    readonly total?: number;
    readonly windowMs?: number;
  }) {
    this.#monotonicMs = options.monotonicMs;
    this.#perKey = options.perKey ?? 5;
    this.#total = options.total ?? 100;
    this.#windowMs = options.windowMs ?? 10_000;
  }

  /** @returns how many lines of that key were dropped before this one, or undefined when this one is dropped as well */
  admit(key: string): number | undefined {
    const now = this.#monotonicMs();
    if (now >= this.#windowEndsMs) this.#nextWindow(now);
    const known = this.#keys.get(key) ?? { lines: 0, suppressed: 0 };
    this.#keys.set(key, known);
    if (known.lines >= this.#perKey || this.#lines >= this.#total) {
      known.suppressed++;
      return undefined;
    }
    this.#lines++;
    known.lines++;
    const { suppressed } = known;
    known.suppressed = 0;
    return suppressed;
  }

  #nextWindow(now: number): void {
    this.#windowEndsMs = now + this.#windowMs;
    this.#lines = 0;
    const owing = [...this.#keys].filter(([, { suppressed }]) => suppressed > 0).slice(0, this.#total);
    this.#keys = new Map(owing.map(([key, { suppressed }]) => [key, { lines: 0, suppressed }]));
  }
}
