import { expect, test } from "vitest";
import { CircuitBreaker } from "./circuit-breaker.ts";

const LIMITS = { failures: 3, openMs: 1000, maxOpenMs: 3000 };

function failing(times: number, now = 0): CircuitBreaker {
  const breaker = new CircuitBreaker(LIMITS);
  for (let i = 0; i < times; i += 1) {
    breaker.enter(now);
    breaker.failed(now);
  }
  return breaker;
}

test("opens after three failures in a row, lets one through after the pause, and closes with its success", () => {
  const breaker = failing(2);
  expect([breaker.state, breaker.enter(0)]).toEqual(["closed", 0]);
  breaker.failed(0);
  expect([breaker.state, breaker.enter(400)]).toEqual(["open", 600]);
  expect([breaker.enter(1000), breaker.state]).toEqual([0, "half-open"]);
  expect(breaker.enter(1000)).toBeGreaterThan(0);
  breaker.succeeded();
  expect([breaker.state, breaker.enter(1000), breaker.idle]).toEqual(["closed", 0, true]);
});

test("a success in between begins the count anew", () => {
  const breaker = failing(2);
  breaker.succeeded();
  breaker.failed(0);
  breaker.failed(0);
  expect(breaker.state).toBe("closed");
});

test("each trial that fails doubles the pause, up to a limit", () => {
  const breaker = failing(3);
  const pauses: number[] = [];
  let now = 1000;
  for (let i = 0; i < 3; i += 1) {
    expect(breaker.enter(now)).toBe(0);
    breaker.failed(now);
    const pause = breaker.enter(now);
    pauses.push(pause);
    now += pause;
  }
  expect(pauses).toEqual([2000, 3000, 3000]);
});

test("a trial that was given up may be repeated", () => {
  const breaker = failing(3);
  breaker.enter(1000);
  breaker.abandoned();
  expect(breaker.enter(1000)).toBe(0);
});
