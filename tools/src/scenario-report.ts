import { SCENARIO_NAMES } from "./scenario-names.ts";

/** What is used of vitest's JSON report. */
export interface TestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

export interface ScenarioOutcome {
  readonly number: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it was skipped or has failed. */
  readonly reason?: string;
}

/** A title begins with one number, or with several: `S10 Assign`, `S10, S39: …`, `S29 S30 …`. */
const NUMBERS = /^(?:S\d\d(?:, | and | )?)+(?=[ :])/;

/** The numbers that a test's title begins with. */
export function scenarioNumbers(title: string): string[] {
  return NUMBERS.exec(title)?.[0].match(/S\d\d/g) ?? [];
}

/**
 * What became of every scenario, in order. One failed test fails its scenario, and so does a scenario without a test; skipped is one
 * of which no test could run, for the reason that its file gives in the title of a skipped test, or else for `whySkipped`.
 */
export function scenarioOutcomes(
  reports: readonly TestReport[],
  whySkipped = "its test does not run on this machine",
): ScenarioOutcome[] {
  const seen = new Map<string, Seen>();
  for (const file of reports.flatMap(({ testResults }) => testResults)) {
    const failed = file.assertionResults.some(({ status }) => status === "failed");
    // A hook that fails leaves the tests of its suite unrun and calls them skipped.
    const broken = file.status === "failed" && !failed;
    // Most are skipped only because they are no scenarios.
    const reason =
      file.assertionResults.find(({ title, status }) => !ran(status) && /^(not here|needs)\b/.test(title))?.title ??
      whySkipped;
    for (const { title, status, failureMessages } of file.assertionResults) {
      for (const number of scenarioNumbers(title)) {
        const before = seen.get(number) ?? { passed: 0, failures: [], skips: [] };
        if (status === "passed") before.passed += 1;
        else if (status === "failed") before.failures.push(`${title}: ${firstLine(failureMessages?.[0])}`);
        else if (broken)
          before.failures.push(`${title}: not run, ${firstLine(file.message) || "a hook of its suite failed"}`);
        else before.skips.push(reason);
        seen.set(number, before);
      }
    }
  }
  return Object.entries(SCENARIO_NAMES).map(([number, name]) => ({ number, name, ...judge(seen.get(number)) }));
}

/** One line for each, and the count. */
export function scenarioLines(outcomes: readonly ScenarioOutcome[]): string[] {
  const count = (wanted: string): number => outcomes.filter(({ outcome }) => outcome === wanted).length;
  return [
    ...outcomes.map(
      ({ number, name, outcome, reason }) =>
        `${number} ${outcome}  ${name}${reason === undefined ? "" : ` (${reason})`}`,
    ),
    `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`,
  ];
}

interface Seen {
  passed: number;
  readonly failures: string[];
  readonly skips: string[];
}

function judge(seen: Seen | undefined): Pick<ScenarioOutcome, "outcome" | "reason"> {
  if (seen === undefined) return { outcome: "failed", reason: "no test's name begins with it" };
  const { failures, passed, skips } = seen;
  if (failures.length > 0) return { outcome: "failed", reason: failures[0] ?? "" };
  if (passed > 0) return { outcome: "passed" };
  return { outcome: "skipped", reason: skips[0] ?? "" };
}

function ran(status: string): boolean {
  return status === "passed" || status === "failed";
}

function firstLine(text = ""): string {
  // oxlint-disable-next-line no-control-regex -- the colours of vitest's messages
  return (text.split("\n", 1)[0] ?? "").replaceAll(/\u001B\[\d+m/g, "");
}
