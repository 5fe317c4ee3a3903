import { expect, test } from "vitest";
import { LogLimiter } from "./log-limiter.ts";

test("a few lines per key and window, then a later one says how many there were not", () => {
  let now = 0;
  const limiter = new LogLimiter({ monotonicMs: () => now, perKey: 2, total: 5, windowMs: 10 });
  expect([1, 2, 3, 4].map(() => limiter.admit("a"))).toEqual([0, 0, undefined, undefined]);
  expect(limiter.admit("b")).toBe(0);
  now = 10;
  expect([limiter.admit("a"), limiter.admit("a")]).toEqual([2, 0]);
});

test("all keys together have a limit too", () => {
  const limiter = new LogLimiter({ monotonicMs: () => 0, perKey: 2, total: 3 });
  expect(["a", "b", "c", "d"].map((key) => limiter.admit(key))).toEqual([0, 0, 0, undefined]);
});
