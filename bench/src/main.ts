import { readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { withFigures } from "./document.ts";
import type { Figure } from "./figure.ts";
import { limitText } from "./limit-text.ts";
import { SUITES, suitesNamed } from "./suites.ts";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false }, plots: { type: "string" }, document: { type: "string" } },
  allowPositionals: true,
});
const { suites, unknown } = suitesNamed(positionals);
if (unknown.length > 0) {
  const known = SUITES.flatMap(({ name, figures }) => [name, ...figures.filter((figure) => figure !== name)]);
  process.stderr.write(`no suite or figure named ${unknown.join(", ")}; there are ${known.join(", ")}\n`);
  process.exit(2);
}

const print = (line: string): boolean => process.stdout.write(`${line}\n`);
const failed: string[] = [];
const measured: Figure[] = [];

if (!values.json) print(row("figure", "value", "unit", "baseline", "ratio", "limit"));
for (const { name, load } of suites) {
  const started = performance.now();
  try {
    const suite = await load();
    for (const figure of await suite({ plots: values.plots })) {
      measured.push(figure);
      print(values.json ? JSON.stringify(figure) : told(figure));
    }
  } catch (error) {
    // The other suites' figures are worth having all the same.
    process.stderr.write(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    failed.push(name);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stderr.write(`${name}: ${seconds} s; load average ${loadavg()[0]?.toFixed(1)}\n`);
}
if (values.document !== undefined)
  writeFileSync(values.document, withFigures(readFileSync(values.document, "utf8"), measured));
if (failed.length > 0) process.stderr.write(`failed: ${failed.join(", ")}\n`);
process.exit(failed.length > 0 ? 1 : 0);

function told({ name, value, unit, baseline, against, ratio, limit, met }: Figure): string {
  const cells = [String(value), unit, String(baseline ?? "-"), String(ratio ?? "-"), limitText(limit, met) || "-"];
  return row(name, ...cells) + (against === null ? "" : `  baseline: ${against}`);
}

function row(name: string, ...cells: readonly string[]): string {
  return name.padEnd(32) + cells.map((cell) => cell.padStart(12)).join("");
}
