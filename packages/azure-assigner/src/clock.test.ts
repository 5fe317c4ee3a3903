import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "./clock.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a Retry-After of a month is no invitation to ask at once", () => {
  const callback = vi.fn<() => void>();
  systemClock.setTimeout(callback, 31 * 24 * 3_600_000);
  vi.advanceTimersByTime(24 * 3_600_000);
  expect(callback).not.toHaveBeenCalled();
});
