import { expect, test } from "vitest";
import { preAssignedPools } from "./pre-assigned-pools.ts";

test.for<[string | undefined, readonly string[]]>([
  [undefined, []],
  ["", []],
  [" , ", []],
  ["pool1", ["pool1"]],
  ["pool1, pool2 ,pool1", ["pool1", "pool2"]],
  ["*", ["*"]],
  ["pool1,*", ["*"]],
])("%j names the pools %j", ([text, pools]) => {
  expect(preAssignedPools(text === undefined ? {} : { "podid.dev/pre-assign": text })).toEqual(pools);
});

test("an annotation that is no text names none", () => {
  expect(preAssignedPools(undefined)).toEqual([]);
  expect(preAssignedPools({ "podid.dev/pre-assign": 1 })).toEqual([]);
});
