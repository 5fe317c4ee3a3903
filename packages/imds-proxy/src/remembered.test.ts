import { expect, test } from "vitest";

import { remembered } from "./remembered.ts";

test("computes once, holds no more than it may, and nothing long", () => {
  const computed: string[] = [];
  const length = remembered(
    (text) => {
      computed.push(text);
      return text.length;
    },
    { entries: 2, length: 3 },
  );
  for (const text of ["a", "a", "bb", "a", "long", "long", "ccc", "a"]) expect(length(text)).toBe(text.length);
  expect(computed).toEqual(["a", "bb", "long", "long", "ccc", "a"]);
});
