import { expect, test } from "vitest";
import { Lingering } from "./lingering.ts";

const HOUR = 3_600_000;

function setUp(delayMs = HOUR) {
  const clock = { now: 1000 };
  const lingering = new Lingering({ delayMs: () => delayMs, now: () => clock.now });
  const held = (owned: string[], needed: string[] = [], given: (key: string) => boolean = () => true): string[] => [
    ...lingering.held("vmss", owned, new Set(needed), given),
  ];
  return { clock, lingering, held };
}

test("without a delay nothing is held", () => {
  const { held, lingering } = setUp(0);
  expect([held(["a"]), lingering.nextMs("vmss")]).toEqual([[], undefined]);
});

test("an identity is held from when nobody needs it until the delay is over", () => {
  const { clock, held, lingering } = setUp();
  expect(held(["a", "b"], ["b"])).toEqual(["a"]);
  clock.now += 1000;
  expect(held(["a", "b"])).toEqual(["a", "b"]);
  expect(lingering.nextMs("vmss")).toBe(HOUR - 1000);
  clock.now += HOUR - 1000;
  expect(held(["a", "b"])).toEqual(["b"]);
  expect(lingering.nextMs("vmss")).toBe(1000);
});

test("one that is needed meanwhile begins anew", () => {
  const { clock, held } = setUp();
  held(["a"]);
  clock.now += HOUR - 1;
  expect(held(["a"], ["a"])).toEqual([]);
  expect(held(["a"])).toEqual(["a"]);
  clock.now += HOUR - 1;
  expect(held(["a"])).toEqual(["a"]);
});

test("what no AzureIdentity stands for goes at once", () => {
  const { held } = setUp();
  expect(held(["a", "b"], [], (key) => key === "b")).toEqual(["b"]);
});

test("groups do not share their times, and one that holds nothing is forgotten", () => {
  const { lingering, held } = setUp();
  held(["a"]);
  expect(lingering.nextMs("other")).toBeUndefined();
  held([]);
  expect(lingering.nextMs("vmss")).toBeUndefined();
});
