import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { clientId, NodeHarness } from "../test/node-harness.ts";
import type { Answer } from "../test/node-harness.ts";

let node: NodeHarness;
let records: string;
beforeAll(async () => {
  node = await NodeHarness.start();
});
afterAll(() => node.stop());
beforeEach(async () => {
  records = await mkdtemp(join(tmpdir(), "results-"));
});
afterEach(async () => {
  await node.reset();
  await rm(records, { recursive: true });
});

/** As libcni writes at ADD. */
function attach(uid: string | undefined, address: string): Promise<void> {
  const entry = {
    kind: "cniCacheV1",
    cniArgs: [["K8S_POD_UID", uid]],
    result: { ips: [{ address: `${address}/24` }] },
  };
  return writeFile(join(records, `azure-${uid}-eth0`), JSON.stringify(entry));
}

function detach(uid: string | undefined): Promise<void> {
  return rm(join(records, `azure-${uid}-eth0`));
}

const start = () => node.startNmi(`--cni-cache-dir=${records}`, "--max-wait=20s");
const whose = ({ status, json }: Answer): string => `${status} ${json["client_id"] ?? json["error_description"] ?? ""}`;

/** Whether it is still waiting after a while. */
async function waits(answer: Promise<Answer>): Promise<boolean> {
  let answered = false;
  void answer.then(() => (answered = true));
  await new Promise((resolve) => setTimeout(resolve, 120));
  return !answered;
}

describe("the container runtime's record and the API server", () => {
  test("agree: served; the record goes: waits; it names another pod: that one is served", async () => {
    const first = await node.bound("first", 1);
    const second = await node.bound("second", 2);
    await attach(first.pod.metadata.uid, first.address);
    await attach(second.pod.metadata.uid, second.address);
    await start();
    expect(whose(await node.token(first.address))).toBe(`200 ${clientId(1)}`);

    // The runtime has taken the first one down and given its address to the second, of which the API server knows nothing yet.
    await detach(first.pod.metadata.uid);
    await detach(second.pod.metadata.uid);
    await attach(second.pod.metadata.uid, first.address);
    // Until NMI has heard of it, which takes milliseconds; a pod's first process takes longer.
    let answer = node.token(first.address);
    await expect
      .poll(() => {
        answer = node.token(first.address);
        return waits(answer);
      })
      .toBe(true);
    await node.client("pods").delete("first", "default", { gracePeriodSeconds: 0 });
    expect(await waits(answer)).toBe(true);
    await node.podStatus(second.pod, first.address, "Running");
    expect(whose(await answer)).toBe(`200 ${clientId(2)}`);
  });

  test("a pod whose address the API server has not published is served", async () => {
    const known = await node.bound("known", 1);
    await attach(known.pod.metadata.uid, known.address);
    await start();
    expect((await node.token(known.address)).status).toBe(200);
    const early = await node.bound("early", 2);
    await node.client("pods").patch("early", "default", {
      type: "merge",
      subresource: "status",
      body: { status: { phase: "Pending", podIP: null, podIPs: null } },
    });
    const answer = node.token(early.address);
    await attach(early.pod.metadata.uid, early.address);
    expect(whose(await answer)).toBe(`200 ${clientId(2)}`);
  });
});

test("connections from before a change of ownership are closed, others are not", async () => {
  const [first, other] = [await node.bound("first", 1), await node.bound("other", 2)];
  const nmi = await start();
  const open = async (localAddress: string) => {
    const socket = connect({ host: "127.0.0.1", port: nmi.port, localAddress });
    let closed = false;
    socket.once("close", () => (closed = true)).on("error", () => undefined);
    await new Promise((resolve) => socket.once("connect", resolve));
    // Served once, so that it is known to have been accepted.
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await new Promise((resolve) => socket.once("data", resolve));
    return { closed: () => closed, end: () => socket.destroy() };
  };
  const [before, kept] = [await open(first.address), await open(other.address)];
  await node.client("pods").delete("first", "default", { gracePeriodSeconds: 0 });
  await expect.poll(before.closed).toBe(true);
  expect(kept.closed()).toBe(false);
  kept.end();
});

test("the startup taint goes once NMI is ready and, with a canary, a pod has asked", async () => {
  const KEY = "podid.dev/agent-not-ready";
  await node.client("nodes").create({
    metadata: { name: "node-1" },
    spec: { taints: [{ key: KEY, effect: "NoSchedule" }] },
  });
  const taints = async (): Promise<unknown> =>
    ((await node.client("nodes").get("node-1"))["spec"] as { taints?: unknown }).taints;
  const { address } = await node.pod("canary");
  await node.startNmi(`--startup-taint=${KEY}`, "--startup-canary");
  await node.ready();
  await node.get("127.0.0.1", "/");
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(await taints()).toHaveLength(1);
  await node.get(address, "/", { headers: {} });
  await expect.poll(taints, { timeout: 3_000 }).toEqual([]);
});
