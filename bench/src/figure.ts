/** One measured number, with what it is compared to in the same run. */
export interface Figure {
  /** Stable, kebab-case. */
  readonly name: string;
  readonly value: number;
  readonly unit: Unit;
  /** The same measurement of what `name` is compared with, in the same unit. `null`: nothing to compare with. */
  readonly baseline: number | null;
  /** What that is. */
  readonly against: string | null;
  /** `value / baseline`. */
  readonly ratio: number | null;
  /** What the figure has to keep to; `null`: it is only observed. */
  readonly limit: Limit | null;
  /** Whether it does, in this run. */
  readonly met: boolean | null;
}

export type Unit =
  | "ms"
  | "s"
  | "s/min"
  | "bytes"
  | "requests/s"
  | "requests"
  | "writes"
  | "errors"
  | "events"
  | "objects";

export interface Limit {
  readonly of: "value" | "ratio";
  readonly most?: number;
  readonly least?: number;
}

/** Makes the figures of one area. Suites run one after another in one process. */
export type Suite = (options: SuiteOptions) => Promise<readonly Figure[]> | readonly Figure[];

export interface SuiteOptions {
  /** Folder for drawings; none are made without. */
  readonly plots?: string | undefined;
}

export interface Comparison {
  readonly baseline?: number;
  readonly against?: string;
  readonly limit?: Limit;
}

export function figure(name: string, unit: Unit, value: number, comparison: Comparison = {}): Figure {
  const { baseline = null, against = null, limit = null } = comparison;
  const ratio = baseline === null || baseline === 0 ? null : value / baseline;
  return {
    name,
    value: rounded(value),
    unit,
    baseline: rounded(baseline),
    against,
    ratio: rounded(ratio),
    limit,
    met: limit === null ? null : isMet(limit, limit.of === "ratio" ? ratio : value),
  };
}

function isMet({ most = Infinity, least = -Infinity }: Limit, measured: number | null): boolean {
  return measured !== null && measured <= most && measured >= least;
}

/** Four significant digits: more would be noise. */
function rounded<N extends number | null>(value: N): N {
  return (value === null ? null : Number(value.toPrecision(4))) as N;
}
