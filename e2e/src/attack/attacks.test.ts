import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { API_VERSION } from "@podid/crd-types";
import { ResourceClient, RESOURCES } from "@podid/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster, clientIdOf, identityResourceId } from "../cluster.ts";
import { until } from "../until.ts";

/**
 * One pod wants the token of another, on the shipped processes and through the node's rules. Each attack has a control: the
 * same thing without podid's guard in the way succeeds. Those that need only a socket are beside the proxy's own tests.
 */
const CONNECTIONS = 10_000;
/** What NMI leaves to one pod. */
const PER_POD = 1_024;
const PROGRAM = join(import.meta.dirname, "../../programs/attack/connections.ts");

let cluster: Cluster;
let node: string;

beforeAll(async () => {
  cluster = await Cluster.start();
  node = cluster.vm;
  for (const name of ["attacker", "victim"]) {
    await cluster.identity(name, { selector: name });
    await cluster.pod(name, { selector: name, node });
  }
  await cluster.nmiReady(node);
  for (const name of ["attacker", "victim"]) {
    await cluster.untilAssigned(name, [name]);
    expect(cluster.whose(await cluster.token(name))).toBe(name);
  }
});
afterAll(() => cluster?.stop());

/** A pod with these labels, running. */
async function labelled(name: string, labels: Readonly<Record<string, string>>, annotations = {}): Promise<void> {
  await cluster.pods.create({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels: { aadpodidbinding: "attacker", ...labels }, annotations },
    spec: { nodeName: node, containers: [{ name: "main", image: "registry.example/pause:1" }] },
  });
  await until(`pod ${name} runs`, async () => {
    const pod = (await cluster.pods.get(name, "default")) as { status?: { phase?: string; podIP?: string } };
    return pod.status?.phase === "Running" && pod.status.podIP !== undefined;
  });
}

/** Asks for a token as somebody who may have another sender's address; the status (0: no answer) and the token. */
async function ask(
  from: { readonly pod: string } | { readonly node: string },
  query: string,
  localAddress?: string,
): Promise<{ readonly status: number; readonly token?: string }> {
  const program = `
    const { request } = require("node:http");
    const tell = (status, text) => { console.log(JSON.stringify({ status, text })); process.exit(0); };
    const asked = request({
      host: "169.254.169.254", agent: false, ...${JSON.stringify({ localAddress })},
      path: "/metadata/identity/oauth2/token?api-version=2018-02-01&" + ${JSON.stringify(query)},
      headers: { metadata: "true" },
    }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk)).on("end", () => tell(answer.statusCode, text));
    });
    asked.on("error", (error) => tell(0, error.code));
    if (${localAddress !== undefined}) setTimeout(() => tell(0, "silence"), 5_000);
    asked.end();`;
  const { code, stdout, stderr } = await cluster.control.exec(from, [process.execPath, "-e", program]);
  if (code !== 0) throw new Error(stderr);
  const { status, text } = JSON.parse(stdout) as { status: number; text: string };
  if (status !== 200) return { status };
  const body = JSON.parse(text) as Record<string, string>;
  return { status, token: cluster.whose({ status, body, milliseconds: 0 }) ?? "nobody" };
}

const ARM = "resource=https://management.azure.com/";

test("parameter: IMDS itself would hand out the victim's token to whoever asks; NMI does not", async () => {
  const ids = [
    `client_id=${clientIdOf("victim")}`,
    `msi_res_id=${encodeURIComponent(identityResourceId("victim"))}`,
    `mi_res_id=${encodeURIComponent(identityResourceId("victim").toUpperCase())}`,
  ];
  for (const id of ids) {
    expect(await ask({ node }, `${ARM}&${id}`)).toEqual({ status: 200, token: "victim" });
    expect(await ask({ pod: "attacker" }, `${ARM}&${id}`)).toEqual({ status: 403 });
  }
});

test("address: a pod that takes its neighbour's gets nothing, while the neighbour lives and after", async () => {
  await cluster.pod("neighbour", { selector: "victim", node });
  await cluster.untilAssigned("neighbour", ["victim"]);
  const { status } = (await cluster.pods.get("neighbour", "default")) as { status?: { podIP?: string } };
  const address = status?.podIP ?? "";
  const inPod = async (...command: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster.control.exec({ pod: "attacker" }, command);
    if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
    return stdout;
  };
  const device = /dev (\S+)/.exec(await inPod("ip", "route", "show", "default"))?.[1] ?? "";
  await inPod("ip", "address", "add", `${address}/32`, "dev", device);
  const left = async (): Promise<number> => {
    const links = JSON.parse(await inPod("ip", "-s", "-j", "link", "show", device)) as {
      stats64: { tx: { packets: number } };
    }[];
    return links[0]?.stats64.tx.packets ?? 0;
  };
  // The control: the packets leave, and the same request in the victim's own network is answered.
  expect(await ask({ pod: "neighbour" }, ARM, address)).toEqual({ status: 200, token: "victim" });
  const before = await left();
  expect((await ask({ pod: "attacker" }, ARM, address)).token).toBeUndefined();
  expect(await left()).toBeGreaterThan(before);

  await cluster.deletePod("neighbour");
  expect((await ask({ pod: "attacker" }, ARM, address)).token).toBeUndefined();
  expect(cluster.whose(await cluster.token("attacker"))).toBe("attacker");
  await inPod("ip", "address", "del", `${address}/32`, "dev", device);
}, 240_000);

test("label: what it changes to while IMDS is being asked is what counts", async () => {
  await labelled("turncoat", { aadpodidbinding: "victim" });
  await cluster.untilAssigned("turncoat", ["victim"]);
  await cluster.control.addAzureFault({ match: { service: "imds", operation: "token" }, delayMs: 5_000 });
  // The control: slow as it is, it is answered.
  expect(await ask({ pod: "turncoat" }, "resource=https://vault.azure.net")).toEqual({ status: 200, token: "victim" });
  const asking = ask({ pod: "turncoat" }, "resource=https://storage.azure.com/");
  await until("IMDS is being asked", async () => (await cluster.control.azureFaults()).some(({ met }) => met === 2));
  await cluster.pods.patch("turncoat", "default", {
    type: "merge",
    body: { metadata: { labels: { aadpodidbinding: "attacker" } } },
  });
  expect((await asking).token).not.toBe("victim");
  await cluster.control.clearAzureFaults();
});

test("exception: only the pods that it means talk to IMDS as the node", async () => {
  const metadata = { name: "agents", namespace: "default" };
  await new ResourceClient(cluster.transport, RESOURCES.azurePodIdentityExceptions).create({
    apiVersion: API_VERSION,
    kind: "AzurePodIdentityException",
    metadata,
    spec: { podLabels: { app: "agent" } },
  });
  const victims = `${ARM}&client_id=${clientIdOf("victim")}`;
  await labelled("excepted", { app: "agent" });
  // The control: the real one gets whatever the node has.
  await until("the exception counts", async () => (await ask({ pod: "excepted" }, victims)).token === "victim");
  await labelled("agent", {});
  await labelled("lookalike-1", { app: "agents" });
  await labelled("lookalike-2", { App: "agent" });
  await labelled("lookalike-3", { "app.kubernetes.io/name": "agent" }, { app: "agent" });
  await labelled("mic-0", { component: "mic", app: "mic" });
  for (const pod of ["agent", "lookalike-1", "lookalike-2", "lookalike-3", "mic-0"])
    expect([pod, (await ask({ pod }, victims)).status]).toEqual([pod, 403]);
}, 240_000);

test(`${CONNECTIONS} connections: a pod that opens them keeps ${PER_POD}, and the others do not notice`, async () => {
  const flood = (host: string, port: number, allowed: number) => {
    const folder = mkdtempSync(join(cluster.sandbox.state.directory, "flood-"));
    const command = [process.execPath, PROGRAM, host, String(port), String(CONNECTIONS), String(allowed), folder];
    const ended = cluster.control.exec({ pod: "attacker" }, command, 240_000).then(({ stdout, stderr }) => {
      rmSync(folder, { recursive: true, force: true });
      if (stdout === "") throw new Error(stderr);
      return JSON.parse(stdout) as { left: number };
    });
    ended.catch(() => undefined);
    return {
      opened: until("the connections were opened", async () => existsSync(join(folder, "opened")), 200_000),
      end: () => {
        writeFileSync(join(folder, "end"), "");
        return ended;
      },
    };
  };
  // The control: a server without limits, in the attacker's own network, holds them all.
  const limitless = `require("node:net").createServer(() => {}).listen({ port: 8000, host: "127.0.0.1", backlog: 4096 }); setTimeout(() => process.exit(0), 200_000)`;
  void cluster.control.exec({ pod: "attacker" }, [process.execPath, "-e", limitless], 240_000).catch(() => undefined);
  await until("the server without limits listens", async () => {
    const program = `require("node:net").connect(8000, "127.0.0.1", () => process.exit(0)).on("error", () => process.exit(1))`;
    return (await cluster.control.exec({ pod: "attacker" }, [process.execPath, "-e", program])).code === 0;
  });
  const there = flood("127.0.0.1", 8000, CONNECTIONS);
  await there.opened;
  expect(await there.end()).toEqual({ left: CONNECTIONS });

  const before = (await cluster.control.processes()).find(({ name }) => name === `nmi-${node}`);
  const here = flood("169.254.169.254", 80, PER_POD);
  await here.opened;
  for (const resource of ["https://graph.microsoft.com/", "https://management.azure.com/"])
    expect(await ask({ pod: "victim" }, `resource=${resource}`)).toEqual({ status: 200, token: "victim" });
  expect((await cluster.metadata("victim", "/metadata/identity/oauth2/token", {})).status).toBe(400);
  await cluster.nmiReady(node);
  expect((await here.end()).left).toBeLessThanOrEqual(PER_POD);
  expect((await cluster.control.processes()).find(({ name }) => name === `nmi-${node}`)).toEqual(before);
  expect(await cluster.control.processLog(`nmi-${node}`)).toContain("its address has too many already");
}, 400_000);

test("nothing of all this reached IMDS as the pods sent it", async () => {
  expect(await cluster.rawRequests()).toEqual([]);
});
