import { once } from "node:events";
import { request } from "node:https";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Wire } from "./contract/wire.ts";
import { startKubeEmulator } from "./emulator.ts";
import type { KubeEmulator } from "./emulator.ts";
import { textAt } from "./json.ts";

let emulator: KubeEmulator;
let wire: Wire;
const MAPS = "/api/v1/namespaces/default/configmaps";

function wireTo(url: string, token = emulator.adminToken): Wire {
  return new Wire({ url, ca: emulator.caPem, token, complete: false, close: async () => {} });
}

beforeEach(async () => {
  emulator = await startKubeEmulator();
  wire = wireTo(emulator.url);
});

afterEach(async () => {
  wire.close();
  await emulator.close();
});

test("a status for some requests, as often as asked", async () => {
  emulator.faults.add({ verb: "list", resource: "configmaps", status: 429, retryAfterSeconds: 7, times: 2 });
  for (const _ of [1, 2]) {
    const refused = await wire.get(MAPS);
    expect(refused).toMatchObject({
      status: 429,
      headers: { "retry-after": "7" },
      body: { reason: "TooManyRequests", details: { retryAfterSeconds: 7 } },
    });
  }
  expect((await wire.get(MAPS)).status).toBe(200);
  const remove = emulator.faults.add({ user: "system:admin", status: 500 });
  expect((await wire.get("/api/v1/nodes")).body).toMatchObject({ reason: "InternalError" });
  remove();
  expect((await wire.get("/api/v1/nodes")).status).toBe(200);
});

test("an answer lost before, or after the work was done", async () => {
  const create = (name: string): Promise<unknown> => wire.post(MAPS, { metadata: { name } });
  emulator.faults.add({ verb: "create", drop: "before", times: 1 });
  await expect(create("before")).rejects.toThrow();
  emulator.faults.add({ verb: "create", drop: "after", times: 1 });
  await expect(create("after")).rejects.toThrow();
  expect((await wire.get(`${MAPS}/before`)).status).toBe(404);
  expect((await wire.get(`${MAPS}/after`)).status).toBe(200);
});

test("watches are cut in order or by a reset, only those that are meant", async () => {
  const maps = await wire.watch(`${MAPS}?watch=1&labelSelector=never`);
  const pods = await wire.watch("/api/v1/pods?watch=1");
  expect(emulator.faults.cutWatches({ resource: "configmaps" })).toBe(1);
  expect(await maps.next()).toBeUndefined();
  expect(emulator.faults.cutWatches({}, "reset")).toBe(1);
  expect(await pods.next()).toBeUndefined();
});

test("stalled watches stay open and silent, and catch up", async () => {
  const watch = await wire.watch(`${MAPS}?watch=1&labelSelector=x`);
  emulator.faults.stallWatches();
  await wire.post(MAPS, { metadata: { name: "held", labels: { x: "1" } } });
  const next = watch.next();
  const probe = await Promise.race([next.then(() => "spoke"), wire.get(MAPS).then(() => "silent")]);
  expect(probe).toBe("silent");
  emulator.faults.resumeWatches();
  expect(await next).toMatchObject({ type: "ADDED", object: { metadata: { name: "held" } } });
});

test("paused requests wait, and go on", async () => {
  emulator.faults.pause();
  const waiting = wire.get(MAPS);
  expect(emulator.audit.find({ resource: "configmaps" })).toHaveLength(0);
  await expect.poll(() => emulator.audit.find({ resource: "configmaps", open: true })).toHaveLength(1);
  emulator.faults.resume();
  expect((await waiting).status).toBe(200);
});

test("refuses connections and takes them again", async () => {
  const watch = await wire.watch(`${MAPS}?watch=1&labelSelector=never`);
  emulator.faults.refuse();
  expect(await watch.next()).toBeUndefined();
  await expect(wire.get(MAPS)).rejects.toThrow();
  emulator.faults.accept();
  expect((await wire.get(MAPS)).status).toBe(200);
});

test("another listening socket is served like its own", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  emulator.accept(other);
  const through = wireTo(`https://127.0.0.1:${(other.address() as AddressInfo).port}`);
  expect((await through.get(MAPS)).status).toBe(200);
  through.close();
  other.close();
});

test("who asked for what is in the audit log, tokens are not", async () => {
  const token = await emulator.serviceAccountToken("podid", "mic");
  const mic = wireTo(emulator.url, token);
  await mic.get("/api/v1/pods?labelSelector=aadpodidbinding&limit=500&resourceVersion=0");
  const [entry] = emulator.audit.find({ resource: "pods" });
  expect(entry).toMatchObject({
    user: "system:serviceaccount:podid:mic",
    verb: "list",
    group: "",
    namespace: "",
    status: 200,
    query: { labelSelector: "aadpodidbinding", limit: "500", resourceVersion: "0" },
  });
  expect(JSON.stringify(emulator.audit.entries)).not.toContain(token);
  mic.close();
});

test("whoever hangs up while a request is checked, or held, leaves no open entry and no watch", async () => {
  const token = await emulator.serviceAccountToken("podid", "mic");
  const options = { ca: emulator.caPem, headers: { authorization: `Bearer ${token}` }, agent: false } as const;
  for (let n = 1; n <= 20; n++) {
    if (n === 11) emulator.faults.pause();
    const sent = request(`${emulator.url}${MAPS}?watch=1`, options).on("error", () => {});
    sent.end();
    await expect.poll(() => emulator.audit.find({ verb: "watch" }), { interval: 0 }).toHaveLength(n);
    sent.destroy();
  }
  await expect.poll(() => emulator.audit.find({ open: true })).toEqual([]);
  emulator.faults.resume();
  await wire.get(MAPS);
  expect(emulator.faults.cutWatches()).toBe(0);
});

test("nobody gets in without a token, with a foreign audience, or as an account that is gone", async () => {
  const anonymous = await wire.get(MAPS, { authorization: "" });
  expect(anonymous).toMatchObject({ status: 401, body: { reason: "Unauthorized", code: 401 } });
  const token = await emulator.serviceAccountToken("default", "worker");
  const worker = wireTo(emulator.url, token);
  expect((await worker.get(MAPS)).status).toBe(200);
  const asked = await wire.post("/api/v1/namespaces/default/serviceaccounts/worker/token", {
    spec: { audiences: ["elsewhere"] },
  });
  expect((await wire.get(MAPS, { authorization: `Bearer ${textAt(asked.body, "status", "token")}` })).status).toBe(401);
  await wire.delete("/api/v1/namespaces/default/serviceaccounts/worker");
  expect((await worker.get(MAPS)).status).toBe(401);
  worker.close();
});
