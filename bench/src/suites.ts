import type { Suite } from "./figure.ts";

export interface SuiteEntry {
  readonly name: string;
  /** The figures that it is known for; it may make more. */
  readonly figures: readonly string[];
  /** Loads it: one that was not asked for costs nothing. */
  readonly load: () => Promise<Suite>;
}

/** In the order in which they run. */
export const SUITES: readonly SuiteEntry[] = [
  {
    name: "match",
    figures: ["match-full", "match-pod-event", "match-binding-event", "match-pod-bytes"],
    load: async () => (await import("./match.ts")).matchFigures,
  },
  {
    name: "converge",
    figures: ["mic-converge-1000", "mic-sick-scale-set"],
    load: async () => (await import("./converge.ts")).convergeFigures,
  },
  {
    name: "large",
    figures: ["mic-bytes-per-pod", "mic-quiet"],
    load: async () => (await import("./large.ts")).largeFigures,
  },
  {
    name: "nmi-tokens",
    figures: ["nmi-cached-throughput", "nmi-cached-p99", "nmi-uncached-added-p50"],
    load: async () => (await import("./nmi.ts")).tokenFigures,
  },
  {
    name: "nmi-start",
    figures: ["nmi-bundle"],
    load: async () => (await import("./nmi.ts")).startFigures,
  },
  {
    name: "nmi-memory",
    figures: ["nmi-memory-idle", "nmi-memory-loaded"],
    load: async () => (await import("./nmi.ts")).memoryFigures,
  },
  {
    name: "cold",
    figures: ["cold-federated", "cold-attached"],
    load: async () => (await import("./cold.ts")).coldFigures,
  },
  { name: "scale", figures: ["scale-converge"], load: async () => (await import("./scale.ts")).scaleFigures },
  { name: "demo", figures: ["demo"], load: async () => (await import("./demo.ts")).demoFigures },
];

/** The suites with these names, or that make the figures of these names; all without a name. */
export function suitesNamed(names: readonly string[]): {
  readonly suites: readonly SuiteEntry[];
  readonly unknown: readonly string[];
} {
  const makes = ({ name, figures }: SuiteEntry, asked: string): boolean => asked === name || figures.includes(asked);
  return {
    suites: SUITES.filter((suite) => names.length === 0 || names.some((name) => makes(suite, name))),
    unknown: names.filter((name) => !SUITES.some((suite) => makes(suite, name))),
  };
}
