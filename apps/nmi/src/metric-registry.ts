/**
 * Metrics in Prometheus' text format. Not a library's: NMI counts several things on every cached answer, and here that
 * is an addition to a number that the caller holds, without labels to be hashed again; and it is five MiB less to load.
 */
export class MetricRegistry {
  readonly contentType = "text/plain; version=0.0.4; charset=utf-8";
  readonly #families: Family[] = [];

  counter(name: string, help: string, labels: readonly string[] = []): CounterFamily {
    return this.#add(new CounterFamily(name, help, labels));
  }

  histogram(name: string, help: string, buckets: readonly number[], labels: readonly string[] = []): HistogramFamily {
    return this.#add(new HistogramFamily(name, help, buckets, labels));
  }

  /** @param read called at every scrape: label values (in the order of `labels`) and the value of each series */
  gauge(name: string, help: string, labels: readonly string[], read: () => readonly Sample[]): void {
    this.#live("gauge", name, help, labels, read);
  }

  /** A counter that somebody else keeps. @param read as of {@link gauge} */
  counterFrom(name: string, help: string, labels: readonly string[], read: () => readonly Sample[]): void {
    this.#live("counter", name, help, labels, read);
  }

  #live(type: string, name: string, help: string, labels: readonly string[], read: () => readonly Sample[]): void {
    this.#add({ render: () => [...head(name, help, type), ...read().map((each) => sampleLine(name, labels, each))] });
  }

  metrics(): string {
    return `${this.#families.flatMap((family) => family.render()).join("\n")}\n`;
  }

  #add<T extends Family>(family: T): T {
    this.#families.push(family);
    return family;
  }
}

export type Sample = readonly [values: readonly string[], value: number];

interface Family {
  render(): readonly string[];
}

/** One series; hold on to it where it is counted often. */
export class Count {
  value = 0;
  inc(by = 1): void {
    this.value += by;
  }
}

export class CounterFamily implements Family {
  readonly #name: string;
  readonly #help: string;
  readonly #series: SeriesMap<Count>;

  constructor(name: string, help: string, labels: readonly string[]) {
    this.#name = name;
    this.#help = help;
    this.#series = new SeriesMap(labels, () => new Count());
  }

  /** The series with these label values, in the order of the names; it appears in a scrape from now on. */
  of(...values: readonly string[]): Count {
    return this.#series.of(values);
  }

  render(): readonly string[] {
    const lines = this.#series.entries().map(([labels, count]) => `${this.#name}${braces(labels)} ${count.value}`);
    return lines.length === 0 ? [] : [...head(this.#name, this.#help, "counter"), ...lines];
  }
}

/** One series; hold on to it where it is observed often. */
export class Observations {
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length);
  }

  observe(value: number): void {
    this.sum += value;
    this.count++;
    const { bounds, counts } = this;
    for (let index = 0; index < bounds.length; index++) {
      if (value <= (bounds[index] ?? Infinity)) {
        counts[index] = (counts[index] ?? 0) + 1;
        return;
      }
    }
  }
}

export class HistogramFamily implements Family {
  readonly #name: string;
  readonly #help: string;
  readonly #series: SeriesMap<Observations>;

  constructor(name: string, help: string, buckets: readonly number[], labels: readonly string[]) {
    this.#name = name;
    this.#help = help;
    this.#series = new SeriesMap(labels, () => new Observations(buckets));
  }

  /** The series with these label values, in the order of the names; it appears in a scrape from now on. */
  of(...values: readonly string[]): Observations {
    return this.#series.of(values);
  }

  render(): readonly string[] {
    const name = this.#name;
    const lines = this.#series.entries().flatMap(([labels, { bounds, counts, sum, count }]) => {
      let below = 0;
      const buckets = bounds.map((bound, index) => {
        below += counts[index] ?? 0;
        return `${name}_bucket${braces([`le="${bound}"`, ...labels])} ${below}`;
      });
      return [
        ...buckets,
        `${name}_bucket${braces(['le="+Inf"', ...labels])} ${count}`,
        `${name}_sum${braces(labels)} ${sum}`,
        `${name}_count${braces(labels)} ${count}`,
      ];
    });
    return lines.length === 0 ? [] : [...head(name, this.#help, "histogram"), ...lines];
  }
}

class SeriesMap<T> {
  readonly #labels: readonly string[];
  readonly #make: () => T;
  readonly #series = new Map<string, { readonly labels: readonly string[]; readonly series: T }>();

  constructor(labels: readonly string[], make: () => T) {
    this.#labels = labels;
    this.#make = make;
  }

  of(values: readonly string[]): T {
    const key = values.join("\u0000");
    const known = this.#series.get(key);
    if (known !== undefined) return known.series;
    const series = this.#make();
    this.#series.set(key, { labels: labelTexts(this.#labels, values), series });
    return series;
  }

  entries(): (readonly [labels: readonly string[], series: T])[] {
    return [...this.#series.values()].map(({ labels, series }) => [labels, series] as const);
  }
}

function head(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function sampleLine(name: string, labels: readonly string[], [values, value]: Sample): string {
  return `${name}${braces(labelTexts(labels, values))} ${value}`;
}

function labelTexts(names: readonly string[], values: readonly string[]): string[] {
  if (names.length !== values.length)
    throw new Error(`${names.length} labels (${names.join(", ")}), ${values.length} values`);
  return names.map((name, index) => `${name}="${escaped(values[index] ?? "")}"`);
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function braces(labels: readonly string[]): string {
  return labels.length === 0 ? "" : `{${labels.join(",")}}`;
}
