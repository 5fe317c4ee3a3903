import type { ArmProblem, AssignOutcome } from "@podid/azure-assigner";
import { expect, test } from "vitest";
import { noted } from "./noted.ts";
import { NEVER_SEEN } from "./observation.ts";
import type { Observation } from "./observation.ts";

const NOW = 1_000_000;

function refusal(code = "FailedIdentityOperation", retryAfterMs?: number): ArmProblem {
  return {
    kind: "identities-refused",
    status: 400,
    code,
    message: "no",
    identities: [],
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

function outcome(more: Partial<AssignOutcome>): AssignOutcome {
  return { kind: "converged", owned: new Set(), refused: new Map(), deferred: new Map(), requests: 0, ...more };
}

function seconds({ refused }: Pick<Observation, "refused">): Record<string, number> {
  return Object.fromEntries([...refused].map(([key, { until }]) => [key, (until - NOW) / 1000]));
}

test("each further refusal doubles the pause, up to five minutes, per identity", () => {
  let before: Observation = NEVER_SEEN;
  const pauses: number[] = [];
  let now = NOW;
  for (let i = 0; i < 10; i += 1) {
    const after = noted(before, outcome({ refused: new Map([["bad", refusal()]]) }), now, true);
    const until = after.refused.get("bad")?.until ?? 0;
    pauses.push((until - now) / 1000);
    now = until;
    before = { ...before, ...after };
  }
  expect(pauses).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
});

test("a refusal told of in the middle of a look counts once", () => {
  const told = outcome({ refused: new Map([["bad", refusal()]]) });
  const middle = { ...NEVER_SEEN, ...noted(NEVER_SEEN, told, NOW, false) };
  expect(noted(middle, told, NOW + 10, true).refused.get("bad")).toMatchObject({ attempts: 1, until: NOW + 2000 });
});

test("ARM's Retry-After is obeyed, and a deferral is nobody's fault", () => {
  const after = noted(
    NEVER_SEEN,
    outcome({
      refused: new Map([["slow", refusal("x", 60_000)]]),
      deferred: new Map([["waits", { ...refusal("IdentityOnTrial"), retryAfterMs: 15_000 }]]),
    }),
    NOW,
    true,
  );
  expect(seconds(after)).toEqual({ slow: 60, waits: 15 });
  expect(after.refused.get("waits")?.attempts).toBe(0);
});

test.for([
  { name: "an expired one that was not refused again is forgotten", kind: "converged", ended: true, want: {} },
  { name: "a look that failed proves nothing", kind: "failed", ended: true, want: { bad: -1 } },
  { name: "in the middle of a look nothing is forgotten", kind: "converged", ended: false, want: { bad: -1 } },
] as const)("$name", ({ kind, ended, want }) => {
  const before = { ...NEVER_SEEN, refused: new Map([["bad", { problem: refusal(), attempts: 3, until: NOW - 1000 }]]) };
  expect(seconds(noted(before, outcome({ kind }), NOW, ended))).toEqual(want);
});
