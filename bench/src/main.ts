import { parseArgs } from "node:util";
import type { Figure, Suite } from "./figure.ts";

/** Suites by name, loaded when they run: one that was not asked for costs nothing. */
const suites: Readonly<Record<string, () => Promise<Suite>>> = {
  match: async () => (await import("./match.ts")).matchFigures,
  nmi: async () => (await import("./nmi.ts")).nmiFigures,
  scale: async () => (await import("./scale.ts")).scaleFigures,
  demo: async () => (await import("./demo.ts")).demoFigures,
};

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !(name in suites));
if (unknown.length > 0) {
  process.stderr.write(`no suite named ${unknown.join(", ")}; there are ${Object.keys(suites).join(", ")}\n`);
  process.exit(2);
}

const print = (line: string): boolean => process.stdout.write(`${line}\n`);

if (!values.json) print(row("figure", "value", "unit", "baseline", "ratio"));
for (const name of positionals.length > 0 ? positionals : Object.keys(suites)) {
  const suite = await suites[name]?.();
  for (const figure of (await suite?.()) ?? []) print(values.json ? JSON.stringify(figure) : told(figure));
}

function told({ name, value, unit, baseline, ratio }: Figure): string {
  return row(name, String(value), unit, String(baseline ?? "-"), String(ratio ?? "-"));
}

function row(name: string, ...cells: readonly string[]): string {
  return name.padEnd(32) + cells.map((cell) => cell.padStart(12)).join("");
}
