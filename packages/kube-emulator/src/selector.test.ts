import { expect, test } from "vitest";
import { CONFIG_MAPS } from "./builtin-resources.ts";
import { PODS } from "./pod.ts";
import { selection } from "./selector.ts";

const labelled = (labels: Record<string, string>) => ({ metadata: { name: "x", namespace: "ns", labels } });

test.for([
  ["", {}, true],
  ["a=1", { a: "1" }, true],
  ["a==1,b!=2", { a: "1" }, true],
  ["a=1", { a: "2" }, false],
  ["a!=1", {}, true],
  ["a in (1, 2)", { a: "2" }, true],
  ["a in (1,2),b notin (3)", { a: "2", b: "3" }, false],
  ["a notin (1)", {}, true],
  ["a", { a: "" }, true],
  ["!a", { a: "" }, false],
  ["a=", { a: "" }, true],
  ["a=", {}, false],
  ["example.com/a=1", { "example.com/a": "1" }, true],
  ["a>1", { a: "2" }, true],
  ["a<1", { a: "2" }, false],
  ["a>1", {}, false],
] as const)("labels %s on %j: %s", ([text, labels, want]) => {
  expect(selection(CONFIG_MAPS, text, "").matches(labelled(labels))).toBe(want);
});

test.for(["a=b=c", "a b", "=x", "a in 1", "a,,b"])("refuses labels %s", (text) => {
  expect(() => selection(CONFIG_MAPS, text, "")).toThrow();
});

test.for([
  ["metadata.name=x", true],
  ["metadata.name==x,metadata.namespace=ns", true],
  ["metadata.name!=x", false],
  ["metadata.name=x\\,y", false],
] as const)("fields %s: %s", ([text, want]) => {
  expect(selection(CONFIG_MAPS, "", text).matches(labelled({}))).toBe(want);
});

test("knows which node a watch is about", () => {
  expect(selection(PODS, "", "spec.nodeName=n,status.phase!=Failed").nodeName).toBe("n");
  expect(selection(PODS, "", "spec.nodeName!=n").nodeName).toBeUndefined();
});
