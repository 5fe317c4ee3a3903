import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LEAVES, VALUES } from "./chart/values.ts";
import { valuesSchema, valuesTable, valuesYaml } from "./chart/render-values.ts";

const CHART = join(import.meta.dirname, "../../charts/podid");
const TABLE = /(<!-- values -->\n)[^]*(\n<!-- \/values -->)/;

/** Path → text of what is made of the table of values: `npm run chart:values` writes it. @throws when the README has no place for it */
export async function valuesFiles(): Promise<Map<string, string>> {
  const readme = join(CHART, "README.md");
  const text = await readFile(readme, "utf8");
  if (!TABLE.test(text))
    throw new Error("charts/podid/README.md: put <!-- values --> and <!-- /values --> around the table");
  return new Map([
    [join(CHART, "values.yaml"), valuesYaml(VALUES)],
    [join(CHART, "values.schema.json"), `${JSON.stringify(valuesSchema(VALUES), null, 2)}\n`],
    [
      readme,
      text.replace(TABLE, (_all, before: string, after: string) => `${before}\n${valuesTable(LEAVES)}\n${after}`),
    ],
  ]);
}

if (import.meta.main) {
  for (const [path, wanted] of await valuesFiles()) {
    if (!process.argv.includes("--check")) await writeFile(path, wanted);
    else if ((await readFile(path, "utf8").catch(() => "")) !== wanted) {
      process.stderr.write(`${path} differs from the table of values; run: npm run chart:values\n`);
      process.exitCode = 1;
    }
  }
}
