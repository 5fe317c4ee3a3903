import fc from "fast-check";
import { expect, test } from "vitest";

import { Backoff, retryAfterOf } from "./backoff.ts";

test("doubles up to the limit, jitters by at most half, never falls below what the server asked, starts over after a reset", () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(random, fc.nat(5_000)), { maxLength: 100 }), (attempts) => {
      let jitter = 0;
      const backoff = new Backoff({ baseMs: 100, maxMs: 1_000, random: () => jitter });
      attempts.forEach(([value, retryAfterMs], i) => {
        jitter = value;
        const ceiling = Math.min(1_000, 100 * 2 ** i);
        const wait = backoff.next(retryAfterMs);
        expect(wait).toBeGreaterThanOrEqual(Math.max(ceiling / 2, retryAfterMs));
        expect(wait).toBeLessThanOrEqual(Math.max(ceiling, retryAfterMs * 1.1));
      });
      expect(backoff.failures).toBe(attempts.length);
      backoff.reset();
      expect(backoff.next()).toBeLessThanOrEqual(100);
    }),
  );
});

test.for([
  { error: { retryAfterMs: 5 }, want: 5 },
  { error: { retryAfterMs: 0 }, want: undefined },
  { error: { retryAfterMs: "5" }, want: undefined },
  { error: new Error("x"), want: undefined },
  { error: null, want: undefined },
])("finds the wait that an error asks for: $want", ({ error, want }) => {
  expect(retryAfterOf(error)).toBe(want);
});
