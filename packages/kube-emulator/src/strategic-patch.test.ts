import { expect, test } from "vitest";
import { strategicPatch } from "./strategic-patch.ts";

// The orders of list items are those that kube-apiserver 1.35 answered to the same patches.
test.for([
  {
    name: "maps merge, null removes",
    base: { a: { b: 1, c: 2 } },
    patch: { a: { b: null, d: 3 } },
    want: { a: { c: 2, d: 3 } },
  },
  {
    name: "lists merge by key, new items first",
    base: { conditions: [{ type: "A", status: "1" }] },
    patch: { conditions: [{ type: "B", status: "2" }] },
    want: {
      conditions: [
        { type: "B", status: "2" },
        { type: "A", status: "1" },
      ],
    },
  },
  {
    name: "an item of the list keeps its other fields",
    base: { containers: [{ name: "a", image: "1", env: [{ name: "X", value: "x" }] }, { name: "b" }] },
    patch: { containers: [{ name: "a", image: "2", env: [{ name: "Y", value: "y" }] }] },
    want: {
      containers: [
        {
          name: "a",
          image: "2",
          env: [
            { name: "Y", value: "y" },
            { name: "X", value: "x" },
          ],
        },
        { name: "b" },
      ],
    },
  },
  {
    name: "$patch delete and $setElementOrder",
    base: { containers: [{ name: "a" }, { name: "b" }, { name: "c" }] },
    patch: {
      "$setElementOrder/containers": [{ name: "c" }, { name: "a" }],
      containers: [{ name: "b", $patch: "delete" }],
    },
    want: { containers: [{ name: "c" }, { name: "a" }] },
  },
  {
    name: "$patch replace, of a map and of a list",
    base: { a: { x: 1 }, containers: [{ name: "a" }] },
    patch: { a: { $patch: "replace", y: 2 }, containers: [{ $patch: "replace" }, { name: "b" }] },
    want: { a: { y: 2 }, containers: [{ name: "b" }] },
  },
  { name: "other lists are replaced", base: { args: ["a"] }, patch: { args: ["b"] }, want: { args: ["b"] } },
  {
    name: "finalizers are a set",
    base: { finalizers: ["a"] },
    patch: { finalizers: ["b", "a"] },
    want: { finalizers: ["b", "a"] },
  },
  {
    name: "$deleteFromPrimitiveList",
    base: { finalizers: ["a", "b"] },
    patch: { "$deleteFromPrimitiveList/finalizers": ["a"] },
    want: { finalizers: ["b"] },
  },
  {
    name: "$retainKeys",
    base: { s: { type: "A", a: 1 } },
    patch: { s: { $retainKeys: ["type"], type: "B" } },
    want: { s: { type: "B" } },
  },
])("$name", ({ base, patch, want }) => {
  expect(strategicPatch(base, patch)).toEqual(want);
});
