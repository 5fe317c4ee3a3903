import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster, MANY_UPDATES } from "./cluster.ts";
import { until } from "./until.ts";

/** Processes die and are restarted; pods must notice as little as possible, and never reach what is not theirs. */
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start([MANY_UPDATES]);
});

afterAll(async () => {
  await cluster?.stop();
});

test("S31 MIC's leader is killed while ARM is busy: the other one finishes the work, once", async () => {
  await cluster.identity("takeover", { selector: "takeover" });
  await cluster.identity("neighbour", { selector: "neighbour" });
  const fault = await cluster.control.addAzureFault({
    match: { service: "arm", method: "PATCH" },
    delayMs: 3000,
    times: 1,
  });
  const leader = await cluster.leader();
  await cluster.pod("takeover", { selector: "takeover", node: cluster.vm });
  await until("the PATCH is on its way", async () => {
    const requests = await cluster.control.azureRequests({ service: "arm", method: "PATCH" });
    return requests.some(({ faults }) => faults.includes(fault.id));
  });
  await cluster.control.kill(leader, "SIGKILL");
  await cluster.pod("neighbour", { selector: "neighbour", node: cluster.instance });
  await cluster.untilAssigned("takeover", ["takeover"], 60_000);
  await cluster.untilAssigned("neighbour", ["neighbour"], 60_000);
  expect(cluster.whose(await cluster.token("takeover"))).toBe("takeover");
  await cluster.deletePod("takeover");
  await until(
    "what the dead leader attached is detached by the new one",
    async () => !(await cluster.attached(cluster.vm)).includes("takeover"),
    60_000,
  );
});

test("MIC's leader is stopped politely: the other one serves the next pod without waiting for the lease to run out", async () => {
  await cluster.identity("polite", { selector: "polite" });
  const leader = await cluster.leader();
  await cluster.control.process(leader, "stop");
  const start = performance.now();
  await cluster.pod("polite", { selector: "polite", node: cluster.vm });
  await cluster.untilAssigned("polite", ["polite"]);
  // The lease lasts 15 s.
  expect(performance.now() - start).toBeLessThan(10_000);
  await cluster.control.process(leader, "start");
});

test("NMI is killed, restarted and stopped under load: no request reaches raw IMDS, and tokens come back", async () => {
  await cluster.identity("hammer", { selector: "hammer" });
  await cluster.pod("hammer", { selector: "hammer", node: cluster.vm });
  await cluster.untilAssigned("hammer", ["hammer"]);
  expect((await cluster.token("hammer")).status).toBe(200);

  // A new connection for every request, and one that is kept open through everything.
  const program = `
    const http = require("http");
    const keep = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const counts = {};
    const end = Date.now() + 6000;
    const once = (agent) => new Promise((resolve) => {
      const request = http.get({ host: "169.254.169.254", path: "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/", headers: { Metadata: "true" }, agent, timeout: 2000 }, (response) => {
        let body = ""; response.on("data", (c) => body += c); response.on("end", () => {
          let mine = false;
          try { mine = JSON.parse(Buffer.from(JSON.parse(body).access_token.split(".")[1], "base64url")).xms_mirid.endsWith("/hammer"); } catch {}
          resolve(response.statusCode === 200 ? (mine ? "mine" : "FOREIGN") : String(response.statusCode)); });
      });
      request.on("timeout", () => request.destroy()); request.on("error", (e) => setTimeout(resolve, 5, e.code ?? "error"));
    });
    const loop = async (agent) => { while (Date.now() < end) { const r = await once(agent); counts[r] = (counts[r] ?? 0) + 1; } };
    Promise.all([loop(false), loop(false), loop(keep)]).then(() => console.log(JSON.stringify(counts)));`;
  const hammering = cluster.control.exec({ pod: "hammer" }, [process.execPath, "-e", program]);
  const nmi = `nmi-${cluster.vm}`;
  await cluster.control.kill(nmi, "SIGKILL");
  await until("NMI runs again", async () =>
    (await cluster.control.processes()).some(
      (each) => each.name === nmi && each.restarts > 0 && each.state === "running",
    ),
  );
  await cluster.control.process(nmi, "restart");
  const { code, stdout, stderr } = await hammering;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const counts = JSON.parse(stdout) as Record<string, number>;
  expect(counts["FOREIGN"]).toBeUndefined();
  expect(counts["mine"]).toBeGreaterThan(0);
  expect(await cluster.rawRequests()).toEqual([]);
  const after = await until("tokens come back", async () => {
    const answer = await cluster.token("hammer");
    return answer.status === 200 ? answer : undefined;
  });
  expect(cluster.whose(after)).toBe("hammer");
});

test("while NMI is down a pod gets no answer rather than the node's", async () => {
  await cluster.control.process(`nmi-${cluster.vm}`, "stop");
  const answer = await cluster.metadata("hammer", "/metadata/instance?api-version=2021-02-01", { Metadata: "true" });
  expect(answer.status).toBe(0);
  expect(await cluster.rawRequests()).toEqual([]);
  await cluster.control.process(`nmi-${cluster.vm}`, "start");
  await until("tokens come back", async () => (await cluster.token("hammer")).status === 200);
});

test("the redirect is flushed by somebody: the guard refuses until NMI has repaired it", async () => {
  await cluster.control.process(`nmi-${cluster.vm}`, "stop");
  await cluster.control.exec({ node: cluster.vm }, ["iptables", "-t", "nat", "-F"]);
  expect((await cluster.token("hammer")).status).toBe(0);
  await cluster.control.process(`nmi-${cluster.vm}`, "start");
  await until("the redirect is back", async () => (await cluster.token("hammer")).status === 200);
  expect(await cluster.rawRequests()).toEqual([]);
});

test("nmi cleanup leaves the node as it was", async () => {
  const save = async (): Promise<string> =>
    (await cluster.control.exec({ node: cluster.vm }, ["iptables-save"])).stdout;
  expect(await save()).toContain("aad-metadata");
  await cluster.control.process(`nmi-${cluster.vm}`, "stop");
  const { code, stderr } = await cluster.control.exec({ node: cluster.vm }, [
    process.execPath,
    new URL("../../apps/nmi/dist/nmi.mjs", import.meta.url).pathname,
    "cleanup",
  ]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  expect(await save()).not.toMatch(/aad-metadata|podid/);
});
