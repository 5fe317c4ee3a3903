import type { Clock } from "@podid/imds-proxy";
import { KubeError } from "@podid/kube";
import type { KubeObject } from "@podid/kube";
import { expect, test } from "vitest";
import { SecretReader } from "./secret-reader.ts";

function setUp() {
  let now = 0;
  const clock: Clock = { wallMs: () => now, monotonicMs: () => now, setTimeout: () => ({ cancel: () => undefined }) };
  const server: { reads: number; answer: string | number } = { reads: 0, answer: "1" };
  const reader = new SecretReader({
    clock,
    get: async (name, namespace): Promise<KubeObject> => {
      server.reads++;
      const { answer } = server;
      if (typeof answer === "number") throw new KubeError(`GET: ${answer}`, { status: answer, reason: "x" });
      return { metadata: { name, namespace, uid: "u", resourceVersion: answer }, data: { k: "dg==" } };
    },
  });
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { reader, server, pass };
}

test("one read for all who ask at once, and none for half a minute", async () => {
  const { reader, server, pass } = setUp();
  const results = await Promise.all(Array.from({ length: 100 }, () => reader.get("ns", "s")));
  expect(new Set(results).size).toBe(1);
  await pass(29_999);
  expect(reader.known("ns", "s")).toMatchObject({ version: "u/1" });
  expect(server.reads).toBe(1);
});

test("then the old edition is used once more while the new one is read", async () => {
  const { reader, server, pass } = setUp();
  const first = await reader.get("ns", "s");
  await pass(30_000);
  expect(reader.known("ns", "s")).toBe(first);
  await pass(0);
  expect(server.reads).toBe(2);
  // Not changed: the very object, for what was made of it.
  expect(reader.known("ns", "s")).toBe(first);
  server.answer = "2";
  await pass(30_000);
  reader.known("ns", "s");
  await pass(0);
  expect(reader.known("ns", "s")).toMatchObject({ version: "u/2" });
});

test("what nobody asked for in a minute is read before it is used", async () => {
  const { reader, server, pass } = setUp();
  await reader.get("ns", "s");
  server.answer = "2";
  await pass(60_000);
  expect(reader.known("ns", "s")).toBeUndefined();
  expect(await reader.get("ns", "s")).toMatchObject({ version: "u/2" });
});

test("an API server that is away takes nothing away for an hour", async () => {
  const { reader, server, pass } = setUp();
  await reader.get("ns", "s");
  server.answer = 0;
  await pass(59 * 60_000);
  expect(await reader.get("ns", "s")).toMatchObject({ version: "u/1" });
  await pass(60_000);
  expect(await reader.get("ns", "s")).toMatchObject({ kind: "unavailable" });
});

test.for([
  [404, "secret-missing"],
  [403, "secret-forbidden"],
] as const)("%i does, at once, and is not asked again for two seconds", async ([status, reason]) => {
  const { reader, server, pass } = setUp();
  await reader.get("ns", "s");
  server.answer = status;
  await pass(60_000);
  expect(await reader.get("ns", "s")).toMatchObject({ kind: "refused", reason });
  expect(await reader.get("ns", "s")).toMatchObject({ kind: "refused", reason });
  expect(server.reads).toBe(2);
  server.answer = "3";
  await pass(2_000);
  expect(await reader.get("ns", "s")).toMatchObject({ version: "u/3" });
});
