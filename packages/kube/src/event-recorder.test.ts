import { expect, test, vi } from "vitest";

import { EventRecorder } from "./event-recorder.ts";
import type { EventRecorderOptions } from "./event-recorder.ts";
import { FakeClock, settled } from "./fake-clock.ts";
import { KubeError } from "./kube-error.ts";
import type { KubeObject } from "./kube-object.ts";
import type { KubeRequest, KubeTransport } from "./transport.ts";

function setUp(options: Partial<EventRecorderOptions> = {}) {
  const clock = new FakeClock(Date.parse("2026-01-01T00:00:00.500Z"));
  const seen: KubeRequest[] = [];
  const failures: unknown[] = [];
  const transport: KubeTransport = {
    request: async <T>(request: KubeRequest) => {
      seen.push(structuredClone(request));
      await Promise.resolve();
      const failure = failures.shift();
      if (failure) throw failure;
      return request.body as T;
    },
    stream: () => Promise.reject(new Error("not used")),
    close: () => Promise.resolve(),
  };
  const recorder = new EventRecorder({
    transport,
    component: "mic",
    host: "node-1",
    clock,
    random: () => 1,
    ...options,
  });
  return { clock, seen, failures, recorder };
}

const involvedObject: KubeObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "ns", uid: "u", resourceVersion: "7" },
};
const event = { involvedObject, type: "Normal", reason: "Bound", message: "bound" } as const;
const failed = (status: number, retryAfterMs?: number) => new KubeError("no", { status, reason: "x", retryAfterMs });

test("creates an event in the object's namespace that names object and source", async () => {
  const { seen, recorder } = setUp();
  recorder.record(event);
  await recorder.flush();
  expect(seen).toHaveLength(1);
  expect(seen[0]).toMatchObject({
    method: "POST",
    path: "/api/v1/namespaces/ns/events",
    body: {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: expect.stringMatching(/^p\.[0-9a-f]{16}$/), namespace: "ns" },
      involvedObject: { apiVersion: "v1", kind: "Pod", name: "p", namespace: "ns", uid: "u", resourceVersion: "7" },
      type: "Normal",
      reason: "Bound",
      message: "bound",
      source: { component: "mic", host: "node-1" },
      reportingComponent: "mic",
      firstTimestamp: "2026-01-01T00:00:00Z",
      lastTimestamp: "2026-01-01T00:00:00Z",
      count: 1,
    },
  });
});

test("events of cluster-scoped objects go to the namespace default", async () => {
  const { seen, recorder } = setUp();
  recorder.record({ ...event, involvedObject: { apiVersion: "v1", kind: "Node", metadata: { name: "n" } } });
  await recorder.flush();
  expect(seen[0]?.path).toBe("/api/v1/namespaces/default/events");
});

test("identical events raise the count by patch, several at once by one request; others are events of their own", async () => {
  const { clock, seen, recorder } = setUp();
  recorder.record(event);
  recorder.record(event);
  recorder.record({ ...event, message: "other" });
  await recorder.flush();
  clock.advance(60_000);
  for (let i = 0; i < 3; i++) recorder.record(event);
  await recorder.flush();
  expect(seen.map((request) => [request.method, (request.body as { count: number }).count])).toEqual([
    ["POST", 2],
    ["POST", 1],
    ["PATCH", 5],
  ]);
  const { name } = (seen[0]!.body as KubeObject).metadata;
  expect(seen[2]).toMatchObject({
    path: `/api/v1/namespaces/ns/events/${name}`,
    contentType: "application/merge-patch+json",
    body: { lastTimestamp: "2026-01-01T00:01:00Z" },
  });
  clock.advance(700_000);
  recorder.record(event);
  await recorder.flush();
  expect(seen[3]).toMatchObject({ method: "POST", body: { count: 1 } });
});

test("an event that the server forgot is created anew", async () => {
  const { seen, failures, recorder } = setUp();
  recorder.record(event);
  await recorder.flush();
  failures.push(failed(404));
  recorder.record(event);
  await recorder.flush();
  expect(seen.map((request) => request.method)).toEqual(["POST", "PATCH", "POST"]);
  expect(recorder.dropped).toBe(0);
});

test("an object in a loop is silenced after a burst, others are not, and later it may speak again", async () => {
  const { clock, seen, recorder } = setUp();
  for (let i = 0; i < 40; i++) recorder.record({ ...event, message: `m${i}` });
  recorder.record({ ...event, involvedObject: { ...involvedObject, metadata: { name: "q", namespace: "ns" } } });
  await recorder.flush();
  expect(seen).toHaveLength(26);
  expect(recorder.dropped).toBe(15);
  clock.advance(300_000);
  recorder.record({ ...event, message: "again" });
  await recorder.flush();
  expect(seen).toHaveLength(27);
});

test("tries again after overload and lost connections, as late as the server asks, and gives up in the end", async () => {
  const { clock, seen, failures, recorder } = setUp();
  failures.push(failed(429, 4_000), failed(0), failed(503));
  recorder.record(event);
  await clock.run(4_399);
  expect(seen).toHaveLength(1);
  await clock.run(10_000);
  expect(seen).toHaveLength(4);
  expect(recorder.dropped).toBe(0);
  failures.push(...Array.from({ length: 4 }, () => failed(0)));
  recorder.record({ ...event, message: "other" });
  await clock.run(60_000);
  expect(recorder.dropped).toBe(1);
});

test("a refusal (namespace is going) drops the event at once, and says so without harm", async () => {
  const warn = vi.fn<(fields: object, message: string) => void>();
  const { seen, failures, recorder } = setUp({ log: { debug() {}, info() {}, warn, error() {} } });
  failures.push(failed(403));
  recorder.record(event);
  await recorder.flush();
  expect([seen.length, recorder.dropped, warn.mock.calls.length]).toEqual([1, 1, 1]);
});

test("never throws, whatever it is given", () => {
  const { recorder } = setUp();
  for (const nonsense of [{}, { involvedObject: {} }, { ...event, involvedObject: { metadata: { name: "x" } } }, null])
    expect(() => recorder.record(nonsense as never)).not.toThrow();
  expect(recorder.dropped).toBe(4);
});

test("the queue is bounded, and flush ends in time even when the server does not answer", async () => {
  const { clock, recorder, failures } = setUp({ queueLimit: 2 });
  failures.push(new Promise(() => {}));
  const silent = {
    request: () => new Promise<never>(() => {}),
    stream: () => Promise.reject(new Error("not used")),
    close: () => Promise.resolve(),
  };
  const stuck = new EventRecorder({ transport: silent, component: "mic", clock, queueLimit: 2 });
  stuck.record(event);
  await settled();
  for (let i = 0; i < 5; i++) stuck.record({ ...event, message: `m${i}` });
  expect(stuck.dropped).toBe(3);
  const flushing = stuck.flush({ timeoutMs: 1_000 });
  await clock.run(1_000);
  await flushing;
  expect(stuck.dropped).toBe(5);
  await recorder.flush();
});

test("long names and messages are cut to what the API server takes", async () => {
  const { seen, recorder } = setUp();
  recorder.record({
    ...event,
    message: "m".repeat(5000),
    involvedObject: { ...involvedObject, metadata: { name: "n".repeat(253), namespace: "ns" } },
  });
  await recorder.flush();
  const body = seen[0]?.body as KubeObject;
  expect(body.metadata.name).toHaveLength(253);
  expect(body["message"]).toHaveLength(1024);
});
