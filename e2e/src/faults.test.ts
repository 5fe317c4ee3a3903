import { readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { API_SERVER } from "./api-server.ts";
import { Cluster, MANY_UPDATES } from "./cluster.ts";
import { overload } from "./overload.ts";
import { until } from "./until.ts";

/**
 * The API server fails in every way that it does in the field. After each of them everything converges, nothing is left
 * over, and no pod has got anything that was not its own.
 */
const LONG = process.env["PODID_LONG"] === "1";
const OUTAGE_MS = LONG ? 60_000 : 8_000;
const LEASE = "aad-pod-identity-mic";
const real = API_SERVER === "real";
/** NMI alone, in the words of the server that is asked to do it. */
const NMI_ALONE = real ? { peer: "10.99.1." } : { user: "system:serviceaccount:kube-system:podid-nmi" };

let cluster: Cluster;
/** Identities of the machines before the first test: MIC must leave them as they are. */
const before = new Map<string, string[]>();

beforeAll(async () => {
  // Long enough for watches that come back one after the other; the default is a minute.
  cluster = await Cluster.start([MANY_UPDATES, "--nmi-args=--binding-grace=10s"]);
  for (const node of [cluster.vm, cluster.instance]) before.set(node, await cluster.attached(node));
  // One identity on the VM whose pod lives through everything and goes on getting its token.
  await cluster.identity("steady", { selector: "steady" });
  await cluster.pod("steady", { selector: "steady", node: cluster.vm });
  expect(cluster.whose(await cluster.token("steady"))).toBe("steady");
});

afterAll(async () => {
  await cluster?.stop();
});

/** Whatever a test leaves is deleted, and with it everything that MIC made of it. */
afterEach(async () => {
  for (const { metadata } of (await cluster.pods.list()).items)
    if (metadata.name !== "steady") await cluster.deletePod(metadata.name);
  await until(
    "nothing but the steady pod has an identity",
    async () => {
      const assignments = await cluster.allAssignments();
      const attached = [await cluster.attached(cluster.vm), await cluster.attached(cluster.instance)];
      const wanted = [[...(before.get(cluster.vm) ?? []), "steady"].sort(), before.get(cluster.instance)];
      const have = JSON.stringify([assignments, attached]);
      if (have === JSON.stringify([["steady steady Assigned"], wanted])) return true;
      throw new Error(have);
    },
    60_000,
  );
  expect(await cluster.rawRequests()).toEqual([]);
  expect(cluster.whose(await cluster.token("steady"))).toBe("steady");
});

/** A pod of its own identity; resolves when it runs. */
async function pod(name: string, node = cluster.vm): Promise<void> {
  await cluster.identity(name, { selector: name });
  await cluster.pod(name, { selector: name, node });
}

/** Does something while the API server is gone. */
async function without<T>(work: () => Promise<T>): Promise<T> {
  await cluster.control.kube("stop");
  try {
    return await work();
  } finally {
    await cluster.control.kube("start");
  }
}

async function getsItsToken(name: string): Promise<void> {
  await cluster.untilAssigned(name, [name], 60_000);
  const answer = await until(`pod ${name} gets a token`, async () => {
    const got = await cluster.token(name);
    return got.status === 200 ? got : undefined;
  });
  expect(cluster.whose(answer)).toBe(name);
}

/** What MIC and NMI logged so far. */
async function logs(): Promise<string> {
  const processes = await cluster.control.processes();
  return (await Promise.all(processes.map(({ name }) => cluster.control.processLog(name)))).join("\n");
}

test("the API server is gone while pods come and go: cached tokens are served, and all is made up for afterwards", async () => {
  await pod("leaves");
  await getsItsToken("leaves");
  await cluster.identity("arrives", { selector: "arrives" });
  await cluster.pod("arrives", { selector: "arrives", node: cluster.instance });
  await cluster.deletePod("leaves");
  const counts = await without(() => cluster.hammer("steady", OUTAGE_MS));
  expect(Object.keys(counts)).toEqual(["steady"]);
  expect(counts["steady"]).toBeGreaterThan(20);
  await getsItsToken("arrives");
  await pod("afterwards");
  await getsItsToken("afterwards");
});

test("NMI starts while the API server is gone: it answers nobody before it knows who is who", async () => {
  const asked = async (): Promise<number> => (await cluster.control.azureRequests({ service: "imds" })).length;
  const { asking, count } = await without(async () => {
    await cluster.control.process(`nmi-${cluster.vm}`, "restart");
    const first = await asked();
    const hammering = cluster.hammer("steady", 4_000);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    return { asking: hammering, count: (await asked()) - first };
  });
  expect(count).toBe(0);
  const { steady, ...others } = await asking;
  // While nobody listens connections are refused; then a request waits until NMI knows, and the rest have it easy.
  expect(Object.keys(others).filter((outcome) => outcome !== "TypeError: fetch failed")).toEqual([]);
  expect(steady).toBeGreaterThan(0);
});

// The emulator keeps everything in its own process.
test.skipIf(!real)("etcd is restarted (a real server's alone): nothing is missed", async () => {
  await pod("etcd-before");
  await getsItsToken("etcd-before");
  const asking = cluster.hammer("steady", 3_000);
  await cluster.control.kube("restart-etcd");
  expect(Object.keys(await asking)).toEqual(["steady"]);
  await cluster.deletePod("etcd-before");
  await pod("etcd-after");
  await getsItsToken("etcd-after");
  await cluster.untilAssigned("etcd-before", []);
});

test("history is compacted while MIC and NMI are cut off: they read everything anew, and the server's cache is cold", async () => {
  const places = ["mic-0", "mic-1", ...cluster.sandbox.state.nodes.map(({ name }) => name)];
  await pod("compact-before");
  await getsItsToken("compact-before");
  // Their watches end now, so that nothing of what follows can still be on its way to them.
  await without(() => Promise.all(places.map((name) => cluster.control.fabric(name, "unplug"))));
  await cluster.deletePod("compact-before");
  await cluster.identity("compact-after", { selector: "compact-after" });
  await cluster.pods.create({
    metadata: { name: "compact-after", namespace: "default", labels: { aadpodidbinding: "compact-after" } },
    spec: { nodeName: cluster.vm, containers: [{ name: "main", image: "registry.example/pause:1" }] },
  });
  await cluster.bindings.delete("steady-binding", "default");
  await cluster.control.compact();
  if (real) await without(() => Promise.resolve());
  await Promise.all(places.map((name) => cluster.control.fabric(name, "plug")));
  await getsItsToken("compact-after");
  await cluster.untilAssigned("compact-before", []);
  await cluster.untilAssigned("steady", []);
  expect(await logs()).toMatch(
    /too old resource version|The resourceVersion for the provided watch is too old|required revision has been compacted/,
  );
  const refused = await cluster.token("steady");
  expect(refused.status).toBe(404);
  await cluster.bindings.create({
    metadata: { name: "steady-binding", namespace: "default" },
    spec: { azureIdentity: "steady", selector: "steady" },
  });
  await getsItsToken("steady");
});

test("the API server has had enough of MIC and NMI, 429 with Retry-After: they wait and then catch up", async () => {
  const accounts = ["podid-mic", "podid-nmi"] as const;
  const end = await overload(cluster, accounts);
  const since = Date.now();
  try {
    await cluster.control.cutWatches(real ? { peer: "10.99." } : {});
    await pod("patient");
    await until("requests are refused", async () => {
      // A server that has just started says 429 as well, until its caches are filled.
      const refused = (await cluster.control.kubeRequests({ status: "429" })).filter(({ time }) => time >= since);
      return accounts.every((name) => refused.some(({ user }) => user === `system:serviceaccount:kube-system:${name}`));
    });
    expect(Object.keys(await cluster.hammer("steady", 500))).toEqual(["steady"]);
  } finally {
    await end();
  }
  await getsItsToken("patient");
});

test("the API server hangs: requests wait, nobody gets what is not his", async () => {
  await cluster.identity("hangs", { selector: "hangs" });
  await cluster.pod("hangs", { selector: "hangs", node: cluster.vm });
  await cluster.control.kube("pause");
  expect(Object.keys(await cluster.hammer("steady", 3_000))).toEqual(["steady"]);
  await cluster.control.kube("resume");
  await getsItsToken("hangs");
});

test("somebody else takes MIC's Lease: nothing is attached until it is won again", async () => {
  await cluster.leader();
  const held = 6;
  const now = new Date().toISOString().replace("Z", "000Z");
  await cluster.leases.patch(LEASE, "kube-system", {
    type: "merge",
    body: {
      spec: { holderIdentity: "somebody-else", leaseDurationSeconds: held, acquireTime: now, renewTime: now },
    },
  });
  const taken = Date.now();
  // MIC learns of it when it renews, every two seconds.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  await pod("leaderless");
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, taken + 5_000 - Date.now())));
  expect(await cluster.attached(cluster.vm)).not.toContain("leaderless");
  await getsItsToken("leaderless");
  expect(Date.now() - taken).toBeGreaterThan(held * 1000 - 500);
  await cluster.leader();
});

test("NMI's watches fall silent without ending: a pod that it has not heard of waits, and gets its own token", async () => {
  await cluster.control.kube("stallWatches", NMI_ALONE);
  await pod("unheard");
  await cluster.untilAssigned("unheard", ["unheard"]);
  let answered = false;
  const answer = cluster.token("unheard").finally(() => (answered = true));
  expect(Object.keys(await cluster.hammer("steady", 3_000))).toEqual(["steady"]);
  expect(answered).toBe(false);
  await cluster.control.kube("resumeWatches");
  const { status, body } = await answer;
  expect({ status, why: body["error_description"] }).toEqual({ status: 200, why: undefined });
  expect(cluster.whose(await answer)).toBe("unheard");
});

test("the tokens of MIC and NMI are replaced and the old ones revoked: they go on with the new ones", async () => {
  const old = ["podid-mic", "podid-nmi"].map((name) => {
    return readFileSync(join(cluster.sandbox.state.directory, `${name}.token`), "utf8");
  });
  expect(await Promise.all(old.map(statusFor))).toEqual([200, 200]);
  await cluster.control.rotateTokens();
  // A real server remembers for ten seconds whom it let in.
  await until("the old tokens are refused", async () =>
    (await Promise.all(old.map(statusFor))).every((status) => status === 401),
  );
  await cluster.control.cutWatches(real ? { peer: "10.99." } : {});
  await pod("rotated");
  await getsItsToken("rotated");
});

/** What the API server answers to a list of pods with a token. */
function statusFor(token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const { kubeUrl } = cluster.sandbox.state;
    const headers = { authorization: `Bearer ${token}` };
    request(`${kubeUrl}/api/v1/pods?limit=1`, { headers, rejectUnauthorized: false, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .once("error", reject)
      .end();
  });
}
