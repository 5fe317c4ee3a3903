import { expect, test } from "vitest";
import { SCENARIO_NAMES } from "./scenario-names.ts";
import { scenarioLines, scenarioNumbers, scenarioOutcomes } from "./scenario-report.ts";
import type { ScenarioOutcome, TestReport } from "./scenario-report.ts";

type File = TestReport["testResults"][number];

function file(tests: readonly (readonly [title: string, status: string])[], status = "passed", message = ""): File {
  return {
    name: "x.test.ts",
    status,
    message,
    assertionResults: tests.map(([title, result]) => ({
      title,
      status: result,
      failureMessages: result === "failed" ? ["\u001B[31mexpected 1 to be 2\u001B[39m\n  at x"] : [],
    })),
  };
}

function outcomeOf(number: string, ...testResults: readonly File[]): ScenarioOutcome | undefined {
  return scenarioOutcomes([{ testResults }]).find((each) => each.number === number);
}

test.for([
  ["S10 Assign", ["S10"]],
  ["S10, S39, S32: assigns", ["S10", "S39", "S32"]],
  ["S53 and S54: without a header", ["S53", "S54"]],
  ["S29 S30 type 1", ["S29", "S30"]],
  ["what S10 does", []],
  ["S100 is none", []],
] as const)("the numbers of %j", ([title, want]) => {
  expect(scenarioNumbers(title)).toEqual(want);
});

test.for([
  { name: "one test", files: [file([["S10 Assign", "passed"]])], want: { outcome: "passed" } },
  {
    name: "passed here, skipped there",
    files: [
      file([
        ["S10 Assign", "passed"],
        ["S10 Assign", "skipped"],
      ]),
    ],
    want: { outcome: "passed" },
  },
  {
    name: "passed here, failed there",
    files: [file([["S10 Assign", "passed"]]), file([["S10 Assign, on a VM", "failed"]], "failed")],
    want: { outcome: "failed", reason: "S10 Assign, on a VM: expected 1 to be 2" },
  },
  {
    name: "skipped everywhere",
    files: [
      file([
        ["S10 Assign", "skipped"],
        ["needs KUBEBUILDER_ASSETS", "skipped"],
      ]),
    ],
    want: { outcome: "skipped", reason: "needs KUBEBUILDER_ASSETS" },
  },
  {
    name: "skipped, and its file does not say why",
    files: [
      file([
        ["S10 Assign", "skipped"],
        ["something else", "skipped"],
      ]),
    ],
    want: { outcome: "skipped", reason: "its test does not run on this machine" },
  },
  {
    name: "a hook failed",
    files: [file([["S10 Assign", "skipped"]], "failed", "Build failed\nmore")],
    want: { outcome: "failed", reason: "S10 Assign: not run, Build failed" },
  },
  { name: "no test at all", files: [], want: { outcome: "failed", reason: "no test's name begins with it" } },
])("the verdict on a scenario: $name", ({ files, want }) => {
  expect(outcomeOf("S10", ...files)).toEqual({ number: "S10", name: "Assign", ...want });
});

test("one line for each number in order, and the count", () => {
  const [first, ...others] = Object.keys(SCENARIO_NAMES);
  const lines = scenarioLines(scenarioOutcomes([{ testResults: [file([[`${first} Binding order`, "passed"]])] }]));
  expect(lines[0]).toBe("S01 passed  Binding order");
  expect(lines.slice(0, -1).map((line) => line.slice(0, 3))).toEqual([first, ...others]);
  expect(lines.at(-1)).toBe(`1 passed, ${others.length} failed, 0 skipped`);
});
