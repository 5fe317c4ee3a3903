/** What happened when, in milliseconds since the start. */
export interface Step {
  readonly title: string;
  readonly at: number;
}

/** Notes each step once. */
export class Timeline {
  readonly #steps: Step[] = [];
  readonly #start: number;

  /** `start` in epoch milliseconds. */
  constructor(start: number) {
    this.#start = start;
  }

  /** `time` in epoch milliseconds. @returns when that is since the start; undefined for a step noted before */
  note(title: string, time: number): number | undefined {
    if (this.#steps.some((step) => step.title === title)) return undefined;
    const at = Math.max(0, time - this.#start);
    this.#steps.push({ title, at });
    return at;
  }

  /** In the order in which they happened. */
  get steps(): readonly Step[] {
    return this.#steps.toSorted((a, b) => a.at - b.at);
  }
}

/** `350 ms`, `1.25 s`. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
