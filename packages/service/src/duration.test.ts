import fc from "fast-check";
import { expect, test } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";

test.for([
  ["15s", 15_000],
  ["1h30m", 5_400_000],
  ["1.5s", 1500],
  ["500ms", 500],
  ["0", 0],
  ["", undefined],
  ["15", undefined],
  ["-5s", undefined],
  ["5s ", undefined],
  ["s", undefined],
] as const)("%s", ([text, want]) => {
  expect(parseDuration(text)).toBe(want);
});

test("what is formatted parses to the same number of milliseconds", () => {
  fc.assert(fc.property(fc.nat(), (milliseconds) => parseDuration(formatDuration(milliseconds)) === milliseconds));
});
