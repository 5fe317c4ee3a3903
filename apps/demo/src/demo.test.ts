import { describe, expect, test } from "vitest";
import type { Check } from "./check.ts";
import { runDemo } from "./demo.ts";

const good =
  (message: string): Check =>
  () =>
    Promise.resolve({ ok: true, message });
const bad =
  (message: string): Check =>
  () =>
    Promise.resolve({ ok: false, message });

function recorder() {
  const lines: string[] = [];
  return {
    lines,
    info: (line: string) => void lines.push(`I ${line}`),
    error: (line: string) => void lines.push(`E ${line}`),
  };
}

const forbidden = () => Promise.reject(new Error("must not sleep"));

describe("run once", () => {
  test("all succeeded: the lines in their order, exit code 0", async () => {
    const log = recorder();
    const slow: Check = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return { ok: true, message: "slow" };
    };
    const code = await runDemo(
      { checks: [slow, good("quick")], log, periodMs: 0, sleep: forbidden },
      new AbortController().signal,
    );
    expect({ code, lines: log.lines }).toEqual({ code: 0, lines: ["I slow", "I quick"] });
  });

  test("one failed: the others run all the same, exit code 1", async () => {
    const log = recorder();
    const code = await runDemo(
      { checks: [bad("no"), good("yes")], log, periodMs: 0, sleep: forbidden },
      new AbortController().signal,
    );
    expect({ code, lines: log.lines }).toEqual({ code: 1, lines: ["E no", "I yes", "E 1 of 2 checks failed"] });
  });

  test("interrupted: exit code 1", async () => {
    const code = await runDemo(
      { checks: [good("yes")], log: recorder(), periodMs: 0, sleep: forbidden },
      AbortSignal.abort(),
    );
    expect(code).toBe(1);
  });
});

describe("run every period", () => {
  test("goes on after a failure until it is stopped, exit code 0", async () => {
    const controller = new AbortController();
    const slept: number[] = [];
    const log = recorder();
    const sleep = (ms: number, signal: AbortSignal) => {
      slept.push(ms);
      if (slept.length === 3) controller.abort();
      return signal.aborted ? Promise.reject(new Error("aborted")) : Promise.resolve();
    };
    const code = await runDemo({ checks: [bad("no")], log, periodMs: 100, sleep }, controller.signal);
    expect({ code, slept }).toEqual({ code: 0, slept: [100, 100, 100] });
    expect(log.lines.filter((line) => line === "E no")).toHaveLength(3);
  });
});
