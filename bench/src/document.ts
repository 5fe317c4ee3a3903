import type { Figure } from "./figure.ts";
import { limitText } from "./limit-text.ts";

const HEAD = ["Figure", "Value", "Baseline", "Ratio", "Limit", "The baseline is"];
const BLOCK = /(<!-- figures: ([a-z0-9 *-]+) -->\n)[\s\S]*?(<!-- end -->)/g;

/**
 * A document with its tables brought up to date. A table stands between `<!-- figures: NAME NAME -->` and `<!-- end -->`; a name may
 * end in `*`, for all that begin so. Rows of figures that were not measured stay as they are.
 */
export function withFigures(text: string, figures: readonly Figure[]): string {
  return text.replaceAll(BLOCK, (block: string, head: string, names: string, end: string) => {
    const old = new Map(
      [...block.matchAll(/^\| `([^`]+)`.*$/gm)].map(([row, name = ""]): [string, string] => [name, row]),
    );
    const fresh = new Map(figures.map((figure): [string, string] => [figure.name, rowOf(figure)]));
    const rows = names.split(" ").flatMap((name) => {
      if (!name.endsWith("*")) return fresh.get(name) ?? old.get(name) ?? [];
      const family = [...(anyBegins(fresh, name) ? fresh : old)];
      return family.filter(([each]) => each.startsWith(name.slice(0, -1))).map(([, row]) => row);
    });
    const lines = [`| ${HEAD.join(" | ")} |`, "| --- | ---: | ---: | ---: | ---: | --- |", ...rows];
    return `${head}\n${lines.join("\n")}\n\n${end}`;
  });
}

function anyBegins(rows: ReadonlyMap<string, string>, name: string): boolean {
  return [...rows.keys()].some((each) => each.startsWith(name.slice(0, -1)));
}

function rowOf({ name, value, unit, baseline, against, ratio, limit, met }: Figure): string {
  const cells = [`\`${name}\``, withUnit(value, unit), baseline === null ? "" : withUnit(baseline, unit)];
  return `| ${[...cells, String(ratio ?? ""), limitText(limit, met), against ?? ""].join(" | ")} |`;
}

function withUnit(value: number, unit: Figure["unit"]): string {
  if (unit === "bytes" && value >= 1e5) return `${(value / 1e6).toPrecision(4)} MB`;
  return `${value} ${unit}`;
}
