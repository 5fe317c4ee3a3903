import { expect, test } from "vitest";
import { missingLines } from "./expected-log.ts";
import { parseManifests, QUICK_START, readManifests } from "./manifests.ts";
import { judge } from "./refusal.ts";
import { duration, Timeline } from "./timeline.ts";

const explained = { error: "identity-not-bound", error_description: "not yours" };

test.for([
  { name: "refused and explained", status: 403, body: explained, held: true },
  { name: "another status", status: 500, body: explained, held: false },
  { name: "a token", status: 200, body: { access_token: "x" }, held: false },
  { name: "a token beside a refusal", status: 403, body: { ...explained, access_token: "x" }, held: false },
  { name: "text instead of an object", status: 403, body: "no", held: false },
  { name: "no answer", status: 0, body: "ECONNREFUSED", held: false },
])("$name", ({ status, body, held }) => {
  const result = judge([403, 404], { status, body });
  expect(result.held).toBe(held);
  expect(result.said).not.toContain('"x"');
});

test("the demo's four lines, whatever stands around them", () => {
  const log = [
    "I1 demo] successfully doARMOperations vm count 3",
    "I1 demo] successfully acquired a token using the MSI, msiEndpoint(http://169.254.169.254/metadata/identity/oauth2/token)",
    "I1 demo] successfully acquired a token, userAssignedID MSI, msiEndpoint(http://169.254.169.254/x) clientID(c)",
    "I1 demo] successfully made GET on instance metadata",
  ];
  expect(missingLines(log)).toEqual([]);
  expect(missingLines(log.slice(1))).toEqual(["VMs listed through ARM"]);
  expect(missingLines([])).toHaveLength(4);
});

test("the quick start's manifests: identity, binding, pod, all in the default namespace", () => {
  const manifests = readManifests(QUICK_START);
  expect(manifests.map(({ resource }) => resource.kind).toSorted()).toEqual([
    "AzureIdentity",
    "AzureIdentityBinding",
    "Pod",
  ]);
  expect(new Set(manifests.map(({ object }) => object.metadata.namespace))).toEqual(new Set(["default"]));
});

test("several documents in a file, empty ones among them; unknown kinds are refused", () => {
  const text =
    "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: a}\n";
  expect(parseManifests(text, "f").map(({ object }) => object.metadata)).toEqual([
    { name: "a" },
    { name: "p", namespace: "a" },
  ]);
  expect(() => parseManifests("apiVersion: v9\nkind: Pod\nmetadata: {name: p}", "f.yaml")).toThrow(
    "f.yaml: v9 Pod is no kind",
  );
});

test("each step is noted once, and shown in the order of time", () => {
  const timeline = new Timeline(1000);
  expect(timeline.note("b", 1500)).toBe(500);
  expect(timeline.note("b", 1900)).toBeUndefined();
  expect(timeline.note("a", 990)).toBe(0);
  expect(timeline.steps).toEqual([
    { title: "a", at: 0 },
    { title: "b", at: 500 },
  ]);
  expect([duration(12.4), duration(1250)]).toEqual(["12 ms", "1.25 s"]);
});
