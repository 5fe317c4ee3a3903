import fc from "fast-check";
import { expect, test } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

test("a burst goes at once, then one every 15 s", () => {
  const bucket = new TokenBucket({ burst: 12, perSecond: 4 / 60 }, 0);
  expect(Array.from({ length: 14 }, () => bucket.reserve(0))).toEqual([...Array(12).fill(0), 15_000, 30_000]);
  expect(Math.round(bucket.level(60_000))).toBe(2);
});

test("who leaves some to others waits for them", () => {
  const bucket = new TokenBucket({ burst: 12, perSecond: 1 }, 0);
  expect(Array.from({ length: 9 }, () => bucket.reserve(0, 4))).toEqual([...Array(8).fill(0), 1000]);
});

test("law: in no span of time does more pass than burst plus what was gained, and nobody overtakes", () => {
  const gaps = fc.array(fc.nat({ max: 3000 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.double({ min: 0.1, max: 5, noNaN: true }),
      gaps,
      (burst, perSecond, pauses) => {
        const bucket = new TokenBucket({ burst, perSecond }, 0);
        let now = 0;
        const starts = pauses.map((pause) => {
          now += pause;
          return now + bucket.reserve(now);
        });
        for (const [i, from] of starts.entries()) {
          if (i > 0) expect(from).toBeGreaterThanOrEqual((starts[i - 1] ?? 0) - 1);
          for (let j = i; j < starts.length; j += 1) {
            const gained = (((starts[j] ?? 0) - from) / 1000) * perSecond;
            expect(j - i + 1).toBeLessThanOrEqual(burst + gained + 0.01 * (j - i + 1) + 0.01);
          }
        }
      },
    ),
  );
});

test("a clock that goes backwards neither gives nor takes", () => {
  const bucket = new TokenBucket({ burst: 2, perSecond: 1 }, 10_000);
  bucket.reserve(10_000);
  expect([bucket.level(0), bucket.level(10_000), bucket.level(10_500)]).toEqual([1, 1, 1.5]);
});
