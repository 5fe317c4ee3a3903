import fc from "fast-check";
import { expect, test } from "vitest";
import { Isolation } from "./isolation.ts";

/** ARM that refuses every request with a bad one in it, and says no names. */
function find(all: readonly string[], bad: ReadonlySet<string>): { found: string[]; passed: string[]; trials: number } {
  const isolation = new Isolation();
  isolation.suspect(all);
  const found: string[] = [];
  const passed: string[] = [];
  let trials = 0;
  for (let trial = isolation.next(); trial !== undefined; trial = isolation.next()) {
    trials += 1;
    if ([...trial].some((key) => bad.has(key))) {
      const culprit = isolation.refused([...trial]);
      if (culprit !== undefined) found.push(culprit);
    } else {
      passed.push(...trial);
      isolation.clear(trial);
    }
  }
  return { found, passed, trials };
}

test("one bad one of eight is found with seven trials", () => {
  const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
  expect(find(names, new Set(["f"]))).toEqual({
    found: ["f"],
    passed: ["a", "b", "c", "d", "e", "g", "h"],
    trials: 7,
  });
});

test("law: exactly the bad ones are found, all others pass, in few trials", () => {
  const key = fc.integer({ min: 0, max: 149 }).map((n) => `id${n}`);
  fc.assert(
    fc.property(
      fc.uniqueArray(key, { minLength: 1, maxLength: 150 }),
      fc.uniqueArray(key, { maxLength: 5 }),
      (all, some) => {
        const bad = new Set(some.filter((name) => all.includes(name)));
        const { found, passed, trials } = find(all, bad);
        expect(found.toSorted()).toEqual([...bad].toSorted());
        expect([...found, ...passed].toSorted()).toEqual(all.toSorted());
        expect(trials).toBeLessThanOrEqual(1 + 2 * Math.ceil(Math.log2(all.length) || 0) * Math.max(1, bad.size));
      },
    ),
  );
});

test("who is needed no more is tried no more", () => {
  const isolation = new Isolation();
  isolation.suspect(["a", "b"]);
  isolation.clear(["a"]);
  expect([...(isolation.next() ?? [])]).toEqual(["b"]);
  isolation.suspect(["b", "c"]);
  isolation.clear(["b"]);
  expect([...(isolation.next() ?? [])]).toEqual(["c"]);
  expect([isolation.next(new Set(["c"])), isolation.idle]).toEqual([undefined, false]);
});
