import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scenarioLines, scenarioOutcomes } from "./scenario-report.ts";
import type { TestReport } from "./scenario-report.ts";

/**
 * `npm run scenarios`: runs every test whose name begins with a scenario's number, on both API servers where KUBEBUILDER_ASSETS says
 * where the real one is, and prints what became of each scenario. `-- --from REPORT…` reads vitest's reports of runs that have been.
 */
const ROOT = join(import.meta.dirname, "../..");
const TESTS = "{packages,apps,e2e,tools,bench}/**/*.test.ts";
const BEGINS = String.raw`S\d\d(,| and|:)? `;

const [option, ...rest] = process.argv.slice(2);
if (option !== undefined && (option !== "--from" || rest.length === 0)) {
  process.stderr.write(
    `scenarios: ${option} is not understood; use --from REPORT… with vitest's JSON reports, or nothing\n`,
  );
  process.exit(2);
}
const reports = option === undefined ? [run()] : rest.map(read);
const hasServer = (process.env["KUBEBUILDER_ASSETS"] ?? "") !== "";
const outcomes = scenarioOutcomes(
  reports,
  hasServer ? undefined : "it needs a real kube-apiserver, and KUBEBUILDER_ASSETS is not set",
);
process.stdout.write(`${scenarioLines(outcomes).join("\n")}\n`);
process.exitCode = outcomes.some(({ outcome }) => outcome === "failed") ? 1 : 0;

/** Progress goes to the standard error, so that the standard output is the table alone. */
function run(): TestReport {
  const folder = mkdtempSync(join(tmpdir(), "podid-scenarios-"));
  try {
    const report = join(folder, "report.json");
    if ((process.env["KUBEBUILDER_ASSETS"] ?? "") === "")
      process.stderr.write(
        "Without KUBEBUILDER_ASSETS no scenario runs on a real kube-apiserver; see `npm run kube:build`.\n",
      );
    const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
    const { error } = spawnSync(
      process.execPath,
      [vitest, "run", "--project", "unit", "--project", "e2e", "-t", `(^| )${BEGINS}`, ...testFiles()],
      { cwd: ROOT, stdio: ["ignore", 2, 2], env: { ...process.env, PODID_TEST_REPORT: report } },
    );
    if (error !== undefined) throw error;
    return read(report);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Those that name a scenario, themselves or in the suite that they share: importing all the others takes its time. */
function testFiles(): string[] {
  const names = new RegExp(String.raw`["'\x60]${BEGINS}`);
  return globSync(TESTS, { cwd: ROOT, exclude: ["**/node_modules/**", "**/dist/**"] }).filter((path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    return names.test(text) || /from "[^"]*\.suite\.ts"/.test(text);
  });
}

function read(path: string): TestReport {
  return JSON.parse(readFileSync(path, "utf8")) as TestReport;
}
