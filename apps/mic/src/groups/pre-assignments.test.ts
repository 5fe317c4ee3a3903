import { bindingRecord, identityRecord } from "@podid/matcher";
import type { BindingRecord } from "@podid/matcher";
import { expect, test } from "vitest";
import { resourceId } from "../../test/cluster.ts";
import { nodeRecord } from "./node-record.ts";
import { PreAssignments } from "./pre-assignments.ts";

function binding(name: string, pools: string | undefined, azureIdentity = "id"): BindingRecord {
  const annotations = pools === undefined ? {} : { "podid.dev/pre-assign": pools };
  const record = bindingRecord({ metadata: { namespace: "ns", name, annotations }, spec: { azureIdentity } });
  if (record === undefined) throw new Error("fixture");
  return record;
}

const identity = (spec: object = {}) =>
  identityRecord({
    metadata: { namespace: "ns", name: "id" },
    spec: { type: 0, resourceID: resourceId("X"), ...spec },
  });

function reserved(pools: readonly (string | undefined)[], annotation: string, found = identity()): string[] {
  const preAssignments = new PreAssignments();
  preAssignments.upsert(binding("b", annotation));
  return preAssignments.on(new Set(pools), () => found).map(({ ref: { key } }) => key);
}

const KEY = resourceId("x").toLowerCase();

test.for<[readonly (string | undefined)[], string, readonly string[]]>([
  [["a"], "a", [KEY]],
  [["b"], "a", []],
  [["b", "a"], "c,a", [KEY]],
  [[undefined], "a", []],
  [[undefined], "*", [KEY]],
  [[], "*", []],
])("nodes of %j with annotation %j hold %j", ([pools, annotation, want]) => {
  expect(reserved(pools, annotation)).toEqual(want);
});

test("nothing is reserved for what cannot be attached", () => {
  expect(reserved(["a"], "a", identity({ resourceID: "nonsense" }))).toEqual([]);
  expect(reserved(["a"], "a", identity({ type: 1 }))).toEqual([]);
  expect(reserved(["a"], "a", identity({ serviceAccounts: [1] }))).toEqual([]);
  expect(new PreAssignments().on(new Set(["a"]), () => identity())).toEqual([]);
});

test("only what makes a difference is one", () => {
  const preAssignments = new PreAssignments();
  expect(preAssignments.upsert(binding("b", undefined))).toBe(false);
  expect(preAssignments.upsert(binding("b", "a"))).toBe(true);
  expect(preAssignments.upsert(binding("b", "a"))).toBe(false);
  expect(preAssignments.upsert(binding("b", "a,c"))).toBe(true);
  expect(preAssignments.upsert(binding("b", "a,c", "other"))).toBe(true);
  expect(preAssignments.concerns({ namespace: "ns", name: "other" })).toBe(true);
  expect(preAssignments.concerns({ namespace: "ns", name: "id" })).toBe(false);
  expect(preAssignments.upsert(binding("b", undefined))).toBe(true);
  expect([preAssignments.isEmpty, preAssignments.delete(binding("b", "a"))]).toEqual([true, false]);
});

test.for<[object, string | undefined]>([
  [{ "kubernetes.azure.com/agentpool": "new", agentpool: "old" }, "new"],
  [{ agentpool: "old" }, "old"],
  [{}, undefined],
])("a node with labels %j belongs to %s", ([labels, want]) => {
  expect(nodeRecord({ metadata: { name: "n", labels }, spec: {} })?.pool).toBe(want);
});
