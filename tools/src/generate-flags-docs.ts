import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { renderMarkdown } from "@podid/service";
import type { FlagTable } from "@podid/service";
import { format } from "oxfmt";

/** `npm run docs:flags` writes docs/flags.md from the tables that the programs themselves parse their command lines with. */
const ROOT = join(import.meta.dirname, "../..");

export const FLAGS_FILE = join(ROOT, "docs/flags.md");

const PROGRAMS = [
  { app: "mic", title: "MIC", flags: "MIC_FLAGS", environment: "MIC_ENVIRONMENT" },
  { app: "nmi", title: "NMI", flags: "FLAGS", environment: "ENVIRONMENT" },
] as const;

const HEADER = `# Flags and environment variables

Made by \`npm run docs:flags\` from the programs' own tables; \`mic --help\` and \`nmi --help\` print the same.

Flags stand behind one dash or two, with their value behind \`=\` or in the next argument; booleans need none. Durations are
Go's: \`15s\`, \`1h30m\`. Everything that is wrong is reported at once, and the program does not start. Defaults that are not
aad-pod-identity's are in [divergences.md](divergences.md).
`;

/** The whole page. */
export async function flagsPage(): Promise<string> {
  const sections = await Promise.all(PROGRAMS.map(section));
  const { code } = await format("flags.md", `${HEADER}\n${sections.join("\n")}`, { printWidth: 120 });
  return code;
}

async function section({ app, title, flags, environment }: (typeof PROGRAMS)[number]): Promise<string> {
  // By path: a tool may not depend on an app, and only reads its tables.
  const module = (await import(pathToFileURL(join(ROOT, `apps/${app}/src/flags.ts`)).href)) as Record<string, unknown>;
  const variables = Object.entries((module[environment] ?? {}) as Record<string, string>);
  const rows = variables.map(([name, help]) => `| \`${name}\` | ${help.replaceAll("|", "\\|")} |\n`);
  const table =
    rows.length === 0
      ? ""
      : `\nEnvironment variables besides:\n\n| Variable | Meaning |\n| --- | --- |\n${rows.join("")}`;
  return `## ${title}\n\n${renderMarkdown(module[flags] as FlagTable)}${table}`;
}

if (import.meta.main) {
  const page = await flagsPage();
  if (!process.argv.includes("--check")) await writeFile(FLAGS_FILE, page);
  else if ((await readFile(FLAGS_FILE, "utf8").catch(() => "")) !== page) {
    process.stderr.write(`${FLAGS_FILE} differs from the programs' tables; run: npm run docs:flags\n`);
    process.exitCode = 1;
  }
}
