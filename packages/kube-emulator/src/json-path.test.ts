import { expect, test } from "vitest";
import { humanDuration } from "./duration.ts";
import { readJsonPath } from "./json-path.ts";

const object = {
  metadata: { annotations: { "example.com/x": "dotted" } },
  spec: { list: [{ a: 1 }, { a: 2 }] },
  status: {
    conditions: [
      { type: "Ready", status: "True" },
      { type: "Other", status: "False" },
    ],
  },
};

test.for([
  [".spec.list[0].a", [1]],
  [".spec.list[*].a", [1, 2]],
  [".spec.list[-1].a", [2]],
  [".metadata.annotations.example\\.com/x", ["dotted"]],
  [".metadata.annotations['example\\.com/x']", ["dotted"]],
  ['.status.conditions[?(@.type=="Ready")].status', ["True"]],
  [".spec.nothing.below", []],
  ["spec.list[1].a", [2]],
] as const)("reads %s", ([path, want]) => {
  expect(readJsonPath(path, object)).toEqual(want);
});

// Pairs from apimachinery's pkg/util/duration tests.
test.for([
  [1, "1s"],
  [70, "70s"],
  [190, "3m10s"],
  [70 * 60, "70m"],
  [47 * 3600, "47h"],
  [49 * 3600, "2d1h"],
  [(8 * 24 + 2) * 3600, "8d"],
  [367 * 24 * 3600, "367d"],
  [(365 * 2 + 25) * 24 * 3600, "2y25d"],
  [365 * 8 * 24 * 3600, "8y"],
] as const)("%i seconds are %s", ([seconds, want]) => {
  expect(humanDuration(seconds * 1000)).toBe(want);
});
