/** One measured number, with what it is compared to in the same run. */
export interface Figure {
  /** Stable, kebab-case. */
  readonly name: string;
  readonly value: number;
  readonly unit: "ms" | "s" | "bytes" | "requests/s" | "requests" | "events" | "objects";
  /** The same measurement of what `name` is compared with, in the same unit; see the suite. `null`: nothing to compare with. */
  readonly baseline: number | null;
  /** `value / baseline`. */
  readonly ratio: number | null;
}

/** Makes the figures of one area. Suites run one after another in one process. */
export type Suite = () => Promise<readonly Figure[]> | readonly Figure[];

export function figure(name: string, unit: Figure["unit"], value: number, baseline: number | null = null): Figure {
  return {
    name,
    value: rounded(value),
    unit,
    baseline: rounded(baseline),
    ratio: rounded(baseline === null ? null : value / baseline),
  };
}

/** Four significant digits: more would be noise. */
function rounded<N extends number | null>(value: N): N {
  return (value === null ? null : Number(value.toPrecision(4))) as N;
}
