import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { boundaryViolations } from "./boundaries.ts";

/** `npm run check`: every gate, in the order in which they fail fastest. */
const ROOT = join(import.meta.dirname, "../..");
const skipTests = process.argv.includes("--no-tests");

const GATES: readonly { readonly name: string; run(): Promise<boolean> | boolean }[] = [
  { name: "format", run: () => command("oxfmt", "--check", ".") },
  { name: "lint", run: () => command("oxlint", "--type-aware", "--deny-warnings") },
  { name: "types", run: () => command("tsc", "-p", ".") },
  { name: "import boundaries", run: boundaries },
  {
    name: "generated files",
    run: () => command("npm", "run", "--silent", "-w", "@podid/crd-types", "generate", "--", "--check"),
  },
  { name: "chart values", run: () => command("node", "tools/src/generate-chart-readme.ts", "--check") },
  { name: "unused code", run: () => command("knip", "--no-config-hints") },
  ...(skipTests ? [] : [{ name: "tests", run: () => command("npm", "test", "--silent") }]),
];

for (const gate of GATES) {
  const start = performance.now();
  process.stdout.write(`== ${gate.name}\n`);
  if (!(await gate.run())) {
    process.stdout.write(`== ${gate.name} failed\n`);
    process.exit(1);
  }
  process.stdout.write(`== ${gate.name} ok, ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
}

function command(name: string, ...args: readonly string[]): boolean {
  return spawnSync(name, args, { cwd: ROOT, stdio: "inherit" }).status === 0;
}

async function boundaries(): Promise<boolean> {
  const violations = await boundaryViolations(ROOT);
  for (const violation of violations) process.stdout.write(`${violation}\n`);
  return violations.length === 0;
}
