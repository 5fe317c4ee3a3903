import { startKubeEmulator } from "@podid/kube-emulator";
import type { KubeEmulator } from "@podid/kube-emulator";
import { ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { systemClock } from "@podid/imds-proxy";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { StartupTaint } from "./startup-taint.ts";

const KEY = "podid.dev/agent-not-ready";
const OTHERS = [{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }];
let kube: KubeEmulator;
let nodes: ResourceClient;
let logged: string[];
let ready: boolean;
let taint: StartupTaint | undefined;

beforeAll(async () => {
  kube = await startKubeEmulator();
  nodes = new ResourceClient(transportFromKubeConfig(parseNodeKubeConfig(kube.kubeconfig())), RESOURCES.nodes);
});
afterAll(() => kube.close());
beforeEach(async () => {
  logged = [];
  ready = false;
  await nodes.create({
    metadata: { name: "n" },
    spec: { taints: [...OTHERS, { key: KEY, effect: "NoSchedule" }] },
  });
});
afterEach(async () => {
  await taint?.stop();
  kube.faults.clear();
  await nodes.delete("n");
});

function start(canary = false): StartupTaint {
  const note = (_: object, message: string): void => void logged.push(message);
  taint = new StartupTaint({
    nodes,
    node: "n",
    key: KEY,
    clock: { setTimeout: (run, ms) => systemClock.setTimeout(run, Math.min(ms, 10)) },
    log: { debug: note, info: note, warn: note, error: note },
    ready: () => ready,
    canary,
  });
  taint.start();
  return taint;
}

async function taints(): Promise<unknown> {
  return ((await nodes.get("n"))["spec"] as { taints?: unknown }).taints;
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));

test("goes once the node is served, and no other taint does", async () => {
  start();
  await settle();
  expect(await taints()).toHaveLength(2);
  ready = true;
  await expect.poll(taints).toEqual(OTHERS);
  expect(logged).toEqual(["took the startup taint off the node"]);
});

test("with a canary it also waits for a pod's request", async () => {
  ready = true;
  const it = start(true);
  await settle();
  expect(await taints()).toHaveLength(2);
  it.arrived();
  await expect.poll(taints).toEqual(OTHERS);
});

test("a node that somebody else changes meanwhile is read again: no taint gets lost", async () => {
  ready = true;
  let raced = false;
  const patch = nodes.patch.bind(nodes);
  const racing = new Proxy(nodes, {
    get: (target, name) =>
      name === "patch"
        ? async (...args: Parameters<typeof patch>) => {
            if (!raced) {
              raced = true;
              await patch("n", undefined, {
                type: "json",
                body: [{ op: "add", path: "/spec/taints/0", value: { key: "added", effect: "NoExecute" } }],
              });
            }
            return patch(...args);
          }
        : (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target),
  });
  taint = new StartupTaint({
    nodes: racing,
    node: "n",
    key: KEY,
    clock: { setTimeout: (run, ms) => systemClock.setTimeout(run, Math.min(ms, 10)) },
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    ready: () => true,
    canary: false,
  });
  taint.start();
  await expect.poll(taints).toEqual([{ key: "added", effect: "NoExecute" }, ...OTHERS]);
});

test("without the right to it the reason is logged, and it is tried again", async () => {
  ready = true;
  const stop = kube.faults.add({ verb: "patch", resource: "nodes", status: 403 });
  start();
  await expect.poll(() => logged).toContain("the startup taint stays");
  stop();
  await expect.poll(taints).toEqual(OTHERS);
});
