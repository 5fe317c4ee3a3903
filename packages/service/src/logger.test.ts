import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";
import { textLine } from "./text-line.ts";

test("text lines carry level, time, component, message and fields", () => {
  const record = {
    level: "error",
    time: "2026-11-22T16:00:00.123Z",
    component: "mic",
    pod: "ns/p",
    why: 'a "b"',
    error: { message: "boom" },
    msg: "failed",
  };
  expect(textLine(JSON.stringify(record))).toBe(
    'E1122 16:00:00.123 mic] failed pod=ns/p why="a \\"b\\"" error="boom"\n',
  );
});

test("a message cannot forge a second line", () => {
  const lines: string[] = [];
  createLogger({ component: "nmi", format: "text", write: (line) => lines.push(line) }).info(
    { path: "/x\nE1122 forged" },
    "request\nI1122 forged",
  );
  expect(lines.join("").trimEnd().split("\n")).toHaveLength(1);
});

test.for([
  { verbosity: 0, want: ["info"] },
  { verbosity: 1, want: ["debug", "info"] },
  { verbosity: 5, want: ["trace", "debug", "info"] },
])("verbosity $verbosity", ({ verbosity, want }) => {
  const levels: unknown[] = [];
  const log = createLogger({
    component: "nmi",
    format: "json",
    verbosity,
    write: (line) => levels.push(JSON.parse(line).level),
  });
  log.trace("t");
  log.debug("d");
  log.info("i");
  expect(levels).toEqual(want);
});
