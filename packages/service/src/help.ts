import type { FlagTable } from "./command-line.ts";

const WIDTH = 100;

/** The text of `--help`. */
export function renderHelp(program: { readonly usage: string; readonly summary: string }, table: FlagTable): string {
  const lines = [`Usage: ${program.usage}`, "", program.summary, "", "Flags:"];
  for (const [name, flag] of Object.entries(table)) {
    const value = flag.bare === undefined ? ` ${flag.kind}` : "";
    lines.push(`  --${name}${value}`, ...wrap(describe(flag), WIDTH - 8).map((line) => `        ${line}`));
  }
  return `${lines.join("\n")}\n`;
}

/** The same table for the documentation, as Markdown. */
export function renderMarkdown(table: FlagTable): string {
  const rows = Object.entries(table).map(
    ([name, flag]) =>
      `| \`--${name}\` | ${flag.kind.replaceAll("|", " \\| ")} | ${flag.shownDefault === "" ? "" : `\`${flag.shownDefault}\``} | ${describe(flag, false)} |`,
  );
  return `${["| Flag | Type | Default | Meaning |", "| --- | --- | --- | --- |", ...rows].join("\n")}\n`;
}

function describe(flag: FlagTable[string], withDefault = true): string {
  const parts = [flag.help];
  if (flag.ignored !== undefined) parts.push(`Has no effect: ${flag.ignored}`);
  if (flag.env !== undefined) parts.push(`Environment: ${flag.env}.`);
  if (withDefault && flag.shownDefault !== "" && flag.shownDefault !== "false")
    parts.push(`Default ${flag.shownDefault}.`);
  return parts.join(" ");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
