import { stringify } from "yaml";
import { VALUE_TYPES } from "./value-types.ts";
import type { Group, Schema, Value } from "./value-types.ts";

const GENERATED = "Made from tools/src/chart by `npm run chart:values`. Change it there.";

type Rows = readonly (Value | Group)[];

interface Node {
  readonly children: Map<string, Node>;
  leaf?: Value;
  group?: Group;
}

function tree(rows: Rows): Node {
  const root: Node = { children: new Map() };
  for (const row of rows) {
    let node = root;
    for (const part of row.key.split(".")) {
      const child = node.children.get(part) ?? { children: new Map() };
      node.children.set(part, child);
      node = child;
    }
    if ("type" in row) node.leaf = row;
    else node.group = row;
  }
  return root;
}

/** values.yaml: every default, and as comments what is not set. */
export function valuesYaml(rows: Rows): string {
  const lines = [`# ${GENERATED}`];
  for (const [name, node] of tree(rows).children) lines.push("", ...yamlOf(name, node));
  return `${lines.join("\n")}\n`;
}

function yamlOf(name: string, node: Node): string[] {
  const help = node.leaf?.help ?? node.group?.help;
  const comment = help === undefined ? [] : wrapped(help).map((line) => `# ${line}`);
  if (node.leaf !== undefined) return [...comment, ...leafYaml(name, node.leaf)];
  const children = [...node.children].flatMap(([child, at]) => yamlOf(child, at));
  const set = children.some((line) => line !== "" && !line.startsWith("#"));
  return [...comment, set ? `${name}:` : `${name}: {}`, ...children.map((line) => (line === "" ? "" : `  ${line}`))];
}

function leafYaml(name: string, { default: initial, example }: Value): string[] {
  const shown = example?.split("\n").map((line, i) => `# ${i === 0 ? `${name}: ${line}`.trimEnd() : line}`) ?? [];
  if (initial === undefined) return shown.length === 0 ? [`# ${name}:`] : shown;
  return [
    ...shown,
    ...stringify({ [name]: initial }, { lineWidth: 0 })
      .trimEnd()
      .split("\n"),
  ];
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length > 110) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** values.schema.json: draft 7, which every Helm 3 reads. Unknown keys are refused, with the list of those that there are. */
export function valuesSchema(rows: Rows): Schema {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    $comment: GENERATED,
    title: "Values of the chart podid",
    ...schemaOf(tree(rows), ["global"]),
  };
}

function schemaOf(node: Node, more: readonly string[] = []): Schema {
  if (node.leaf !== undefined) return leafSchema(node.leaf);
  const properties: Record<string, Schema> = {};
  for (const [name, child] of node.children) properties[name] = schemaOf(child);
  // Helm itself puts `global` into the values of a chart that another one has as dependency.
  for (const name of more) properties[name] = { type: "object" };
  return {
    type: "object",
    ...(node.group !== undefined && { description: node.group.help }),
    additionalProperties: false,
    // Says the same once more, because this way the message names the keys that there are.
    propertyNames: { enum: Object.keys(properties).sort() },
    properties,
  };
}

function leafSchema({ type, help, default: initial, schema = {} }: Value): Schema {
  const replaces = "enum" in schema || "type" in schema;
  return {
    description: help,
    ...(initial !== undefined && { default: initial }),
    ...(replaces ? {} : VALUE_TYPES[type]),
    ...schema,
  };
}

/** The README's table of values, aligned as the formatter would have it. */
export function valuesTable(rows: readonly Value[]): string {
  const cells = [
    ["Key", "Default", "Meaning", "In aad-pod-identity's chart"],
    ...rows.map(({ key, default: initial, help, own }) => [
      `\`${key}\``,
      cell(initial === undefined ? "not set" : `\`${JSON.stringify(initial)}\``),
      cell(help),
      own === true ? "" : "yes",
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [header = [], ...body] = cells;
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
