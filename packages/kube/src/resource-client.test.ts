import { expect, test } from "vitest";

import type { KubeObject } from "./kube-object.ts";
import { ResourceClient } from "./resource-client.ts";
import { RESOURCES } from "./resource.ts";
import type { KubeRequest, KubeTransport } from "./transport.ts";

function recording(answer: unknown = {}): { transport: KubeTransport; seen: KubeRequest[] } {
  const seen: KubeRequest[] = [];
  const transport: KubeTransport = {
    request: <T>(request: KubeRequest) => (seen.push(request), Promise.resolve(structuredClone(answer) as T)),
    stream: (request) => (seen.push(request), Promise.resolve((async function* () {})())),
    close: () => Promise.resolve(),
  };
  return { transport, seen };
}

const identity: KubeObject = { metadata: { name: "a b", namespace: "ns" }, spec: { type: 0 } };
const typed = { apiVersion: "aadpodidentity.k8s.io/v1", kind: "AzureIdentity", ...identity };
const one = "/apis/aadpodidentity.k8s.io/v1/namespaces/ns/azureidentities";

test.for<{ name: string; call: (client: ResourceClient) => Promise<unknown>; want: object }>([
  { name: "get", call: (c) => c.get("a b", "ns"), want: { method: "GET", path: `${one}/a%20b` } },
  {
    name: "list of all namespaces",
    call: (c) => c.list({ labelSelector: "x=1" }),
    want: { method: "GET", path: "/apis/aadpodidentity.k8s.io/v1/azureidentities", query: { labelSelector: "x=1" } },
  },
  {
    name: "watch",
    call: (c) => c.watch({ namespace: "ns", resourceVersion: "5" }),
    want: { method: "GET", path: one, query: { watch: true, resourceVersion: "5" } },
  },
  {
    name: "create",
    call: (c) => c.create(identity, { dryRun: true, fieldValidation: "Strict" }),
    want: { method: "POST", path: one, body: typed, query: { dryRun: "All", fieldValidation: "Strict" } },
  },
  { name: "update", call: (c) => c.update(identity), want: { method: "PUT", path: `${one}/a%20b`, body: typed } },
  {
    name: "updateStatus",
    call: (c) => c.updateStatus(identity),
    want: { method: "PUT", path: `${one}/a%20b/status`, body: typed },
  },
  {
    name: "json patch",
    call: (c) => c.patch("a", "ns", { type: "json", body: [] }),
    want: { method: "PATCH", path: `${one}/a`, body: [], contentType: "application/json-patch+json" },
  },
  {
    name: "merge patch of a subresource",
    call: (c) => c.patch("a", "ns", { type: "merge", body: {}, subresource: "status" }),
    want: { path: `${one}/a/status`, contentType: "application/merge-patch+json" },
  },
  {
    name: "server-side apply",
    call: (c) => c.patch("a", "ns", { type: "apply", body: typed, fieldManager: "m", force: true }),
    want: { contentType: "application/apply-patch+yaml", query: { fieldManager: "m", force: true } },
  },
  {
    name: "delete with preconditions",
    call: (c) =>
      c.delete("a", "ns", { uid: "u", resourceVersion: "5", gracePeriodSeconds: 0, propagationPolicy: "Background" }),
    want: {
      method: "DELETE",
      path: `${one}/a`,
      body: {
        apiVersion: "v1",
        kind: "DeleteOptions",
        gracePeriodSeconds: 0,
        propagationPolicy: "Background",
        preconditions: { uid: "u", resourceVersion: "5" },
      },
    },
  },
])("$name", async ({ call, want }) => {
  const { transport, seen } = recording();
  await call(new ResourceClient(transport, RESOURCES.azureIdentities));
  expect(seen).toHaveLength(1);
  expect(JSON.parse(JSON.stringify(seen[0]))).toMatchObject(want);
});

test("core and cluster-scoped resources have their own paths", async () => {
  const { transport, seen } = recording();
  await new ResourceClient(transport, RESOURCES.nodes).get("n");
  await new ResourceClient(transport, RESOURCES.pods).list({ namespace: "ns" });
  expect(seen.map((request) => request.path)).toEqual(["/api/v1/nodes/n", "/api/v1/namespaces/ns/pods"]);
});

test("listed items carry apiVersion and kind", async () => {
  const { transport } = recording({ metadata: { resourceVersion: "1" }, items: [{ metadata: { name: "a" } }] });
  const list = await new ResourceClient(transport, RESOURCES.daemonSets).list();
  expect(list.items[0]).toMatchObject({ apiVersion: "apps/v1", kind: "DaemonSet" });
});

test.for<{ name: string; call: (client: ResourceClient) => unknown; says: RegExp }>([
  {
    name: "no namespace",
    call: (c) => c.get("a"),
    says: /azureidentities: namespace is undefined; pass the namespace of "a"/,
  },
  { name: "no name", call: (c) => c.delete("", "ns"), says: /azureidentities: name is empty/ },
  {
    name: "an object without namespace",
    call: (c) => c.create({ metadata: { name: "a" } }),
    says: /metadata.namespace of "a" is missing/,
  },
])("a caller's mistake is a TypeError: $name", ({ call, says }) => {
  expect(() => call(new ResourceClient(recording().transport, RESOURCES.azureIdentities))).toThrow(says);
});
