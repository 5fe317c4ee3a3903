import { startKubeEmulator } from "@podid/kube-emulator";
import type { KubeEmulator } from "@podid/kube-emulator";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";

import { EventRecorder } from "./event-recorder.ts";
import { transportFromKubeConfig } from "./http-transport.ts";
import { parseNodeKubeConfig } from "./node-kubeconfig.ts";
import type { KubeObject } from "./kube-object.ts";
import { LeaderElector } from "./leader-elector.ts";
import { Reflector } from "./reflector.ts";
import { ResourceClient } from "./resource-client.ts";
import { RESOURCES } from "./resource.ts";
import { requestServiceAccountToken } from "./service-account-token.ts";
import type { KubeTransport } from "./transport.ts";

/** Conditions are met in milliseconds, unless the machine is busy. */
const SOON = { timeout: 15_000, interval: 10 };

let emulator: KubeEmulator;
let transport: KubeTransport;
let pods: ResourceClient;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  emulator = await startKubeEmulator();
  transport = transportFromKubeConfig(parseNodeKubeConfig(emulator.kubeconfig()));
  pods = new ResourceClient(transport, RESOURCES.pods);
  const namespace: KubeObject = { metadata: { name: "team" } };
  await new ResourceClient(transport, RESOURCES.namespaces).create(namespace);
  await new ResourceClient(transport, RESOURCES.serviceAccounts).create({
    metadata: { name: "app", namespace: "team" },
  });
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
afterAll(async () => {
  await transport.close();
  await emulator.close();
});

const pod = (name: string, label = "x"): KubeObject => ({
  metadata: { name, namespace: "team", labels: { aadpodidbinding: label } },
  spec: { nodeName: "node-1", containers: [{ name: "c", image: "i" }] },
});

function reflect(useWatchList: boolean) {
  const reflector = new Reflector<string>({
    transport,
    resource: RESOURCES.pods,
    labelSelector: "aadpodidbinding",
    fieldSelector: "spec.nodeName=node-1",
    pageSize: 2,
    useWatchList,
    project: (object) => object.metadata.labels?.["aadpodidbinding"],
  });
  const told: string[] = [];
  reflector.subscribe({ upsert: (key, item) => told.push(`${key}=${item}`), delete: (key) => told.push(`-${key}`) });
  reflector.start();
  ends.push(() => reflector.stop());
  return { reflector, told };
}

test.for([{ useWatchList: false }, { useWatchList: true }])(
  "a reflector follows pods through cuts and compaction, %o",
  async ({ useWatchList }) => {
    for (const name of ["a", "b", "c"]) await pods.create(pod(name));
    const { reflector, told } = reflect(useWatchList);
    await reflector.whenSynced();
    expect(Object.fromEntries(reflector.items)).toEqual({ "team/a": "x", "team/b": "x", "team/c": "x" });
    await pods.patch("a", "team", { type: "merge", body: { metadata: { labels: { aadpodidbinding: "y" } } } });
    await pods.delete("b", "team", { gracePeriodSeconds: 0 });
    await vi.waitFor(() => expect(told.slice(3)).toEqual(["team/a=y", "-team/b"]), SOON);
    emulator.faults.cutWatches();
    await pods.delete("c", "team", { gracePeriodSeconds: 0 });
    emulator.faults.compact();
    await vi.waitFor(() => expect(told.slice(5)).toEqual(["-team/c"]), SOON);
    await pods.delete("a", "team", { gracePeriodSeconds: 0 });
    await vi.waitFor(() => expect(reflector.items.size).toBe(0), SOON);
  },
);

test("conflicts, missing objects and preconditions are KubeErrors with the server's reason", async () => {
  const created = await pods.create(pod("d"));
  await expect(pods.create(pod("d"))).rejects.toMatchObject({ status: 409, reason: "AlreadyExists" });
  await expect(
    pods.update({ ...created, metadata: { ...created.metadata, resourceVersion: "1" } }),
  ).rejects.toMatchObject({ status: 409, reason: "Conflict" });
  await expect(pods.delete("d", "team", { uid: "another" })).rejects.toMatchObject({ status: 409, reason: "Conflict" });
  await expect(pods.get("none", "team")).rejects.toMatchObject({ status: 404, reason: "NotFound" });
  await pods.delete("d", "team", { uid: created.metadata.uid, gracePeriodSeconds: 0 });
});

test("a wrong token is refused with 401", async () => {
  const config = emulator.kubeconfig().replaceAll(emulator.adminToken, "wrong");
  const stranger = transportFromKubeConfig(parseNodeKubeConfig(config));
  await expect(new ResourceClient(stranger, RESOURCES.pods).list()).rejects.toMatchObject({ status: 401 });
  await stranger.close();
});

test("a released lease goes to the next candidate", async () => {
  const leaders: string[] = [];
  const stand = (identity: string) => {
    const elector = new LeaderElector({
      transport,
      namespace: "team",
      name: "mic",
      identity,
      leaseDurationMs: 15_000,
      onStartedLeading: () => void leaders.push(identity),
      onStoppedLeading: () => {},
    });
    elector.start();
    ends.push(() => elector.stop());
    return elector;
  };
  const a = stand("a");
  await vi.waitFor(() => expect(a.isLeader).toBe(true), SOON);
  const b = stand("b");
  await vi.waitFor(() => expect(b.leader).toBe("a"), SOON);
  await a.stop();
  await vi.waitFor(() => expect(b.isLeader).toBe(true), SOON);
  expect([leaders, b.epoch]).toEqual([["a", "b"], 1]);
});

test("events arrive and are counted", async () => {
  const recorder = new EventRecorder({ transport, component: "test" });
  const involvedObject = await pods.create(pod("e"));
  const event = { involvedObject, type: "Normal", reason: "Bound", message: "bound" } as const;
  recorder.record(event);
  await recorder.flush();
  recorder.record(event);
  await recorder.flush();
  const events = await new ResourceClient(transport, RESOURCES.events).list({
    namespace: "team",
    fieldSelector: "involvedObject.name=e",
  });
  expect(events.items).toMatchObject([
    { reason: "Bound", count: 2, involvedObject: { uid: involvedObject.metadata.uid } },
  ]);
  expect(recorder.dropped).toBe(0);
});

test("a token for a pod's ServiceAccount names the audience and the pod", async () => {
  const { metadata } = await pods.create({
    ...pod("f"),
    spec: { serviceAccountName: "app", nodeName: "node-1", containers: [{ name: "c", image: "i" }] },
  });
  const audience = "api://AzureADTokenExchange";
  const boundPod = { name: "f", uid: metadata.uid! };
  const { token, expiresAt } = await requestServiceAccountToken(transport, {
    namespace: "team",
    serviceAccount: "app",
    audience,
    expirationSeconds: 3600,
    boundPod,
  });
  const claims = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()) as Record<string, unknown>;
  expect(claims).toMatchObject({ aud: [audience], sub: "system:serviceaccount:team:app", exp: expiresAt / 1000 });
  await expect(
    requestServiceAccountToken(transport, {
      namespace: "team",
      serviceAccount: "app",
      audience,
      expirationSeconds: 3600,
      boundPod: { name: "f", uid: "other" },
    }),
  ).rejects.toMatchObject({ status: 409 });
});
