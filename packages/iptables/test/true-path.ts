/**
 * A node, a pod and IMDS as three network namespaces, IMDS behind a route, so that what the pod sends crosses FORWARD as
 * on a real node. Runs inside `unshare --net --mount`, prints what happened as one line of JSON.
 */
import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { Agent, createServer, get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { NodeRules, systemExec, type Exec } from "../src/index.ts";
import { buildNode, forkIn, POD, sh } from "../src/testing.ts";

const METADATA = { host: "169.254.169.254", port: 80 };
const WIRE_SERVER = "168.63.129.16";
/** A service of the node that listens on loopback only, over UDP, since the way back is not what matters. */
const LOOPBACK_PORT = 10_250;

type Answer = string;

/** One GET: what answered, or the error's code. */
function ask(agent: Agent | undefined, where: { host: string; port: number } = METADATA): Promise<Answer> {
  return new Promise((resolve) => {
    const request = get({ ...where, agent: agent ?? false, timeout: 400 }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.once("end", () => resolve(body));
    });
    request.once("timeout", () => request.destroy(Object.assign(new Error("time-out"), { code: "timeout" })));
    request.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

async function serve(name: string, host: string, port: number): Promise<void> {
  const server = createServer((request, response) => response.end(`${name} ${request.socket.remoteAddress}`));
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
}

async function buildHostileNode(): Promise<void> {
  await buildNode([METADATA.host, WIRE_SERVER]);
  // The pod sends what it has for 127.0.0.1 to its node, as a hostile neighbour would.
  await sh("ip", "-n", "pod", "route", "del", "table", "local", "local", "127.0.0.0/8", "dev", "lo");
  await sh("ip", "-n", "pod", "route", "del", "table", "local", "local", "127.0.0.1", "dev", "lo");
  await sh("ip", "netns", "exec", "pod", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet");
  await sh("ip", "-n", "pod", "route", "add", "127.0.0.1", "via", "10.1.0.1", "src", POD);
  writeFileSync("/proc/sys/net/ipv4/conf/all/route_localnet", "1");
}

async function main(backend: "nft" | "legacy"): Promise<void> {
  await buildHostileNode();
  const [client] = await Promise.all([
    forkIn("pod", import.meta.filename, "client"),
    forkIn("imds", import.meta.filename, "imds"),
    serve("nmi", "127.0.0.1", 2579),
  ]);
  await serve("second", "127.0.0.1", 2580);
  let datagrams = 0;
  createSocket("udp4", () => datagrams++).bind(LOOPBACK_PORT, "127.0.0.1");
  const arrived = async (): Promise<number> => {
    datagrams = 0;
    await inPod("loopback");
    return datagrams;
  };
  const inPod = (what: "fresh" | "kept" | "reconnect" | "loopback" | "wireServer" | "wireDns"): Promise<Answer> =>
    new Promise((resolve) => {
      client.once("message", (answer) => resolve(answer as Answer));
      client.send(what);
    });
  const iptables = (...args: string[]): Promise<void> => sh(`iptables-${backend}`, ...args);
  // Kubelet's mark makes this backend the node's.
  await iptables("-t", "mangle", "-N", "KUBE-IPTABLES-HINT");
  const rules = { metadataIp: METADATA.host, metadataPort: METADATA.port, targetIp: "127.0.0.1", targetPort: 2579 };
  const withoutConntrack: Exec = (command, args, options) =>
    command === "conntrack"
      ? Promise.resolve({ code: 127, stdout: "", stderr: "" })
      : systemExec(command, args, options);
  const node = new NodeRules({ exec: systemExec, rules });
  const bare = new NodeRules({ exec: withoutConntrack, rules });
  const log: Record<string, unknown> = {};

  log["before"] = [await inPod("fresh"), await inPod("kept"), await arrived()];
  // Left over in the backend that this node does not use, beside somebody else's rule.
  const other = backend === "nft" ? "legacy" : "nft";
  const elsewhere = (...args: string[]) => systemExec(`iptables-${other}`, ["-t", "nat", ...args]);
  await elsewhere("-N", "aad-metadata");
  await elsewhere("-A", "PREROUTING", "-j", "aad-metadata");
  await elsewhere("-A", "PREROUTING", "-i", "foreign1", "-j", "ACCEPT");
  log["installed"] = await node.ensure();
  log["otherBackend"] = (await systemExec(`iptables-${other}-save`, [])).stdout
    .split("\n")
    .filter((line) => /aad-metadata|podid-|foreign1/.test(line));
  log["redirected"] = [await inPod("fresh"), await inPod("kept"), await arrived()];
  log["again"] = [await node.ensure(), await node.check()];
  log["nodeItself"] = await ask(undefined);
  await iptables("-t", "nat", "-F");
  log["natWiped"] = [await node.check(), await inPod("fresh"), await ask(undefined)];
  await iptables("-t", "filter", "-F");
  log["filterWipedToo"] = [await inPod("fresh"), await ask(undefined)];
  log["repaired"] = [await node.ensure(), await inPod("fresh")];

  // A connection that is redirected survives another repair: its conntrack entry is not raw IMDS's.
  await inPod("reconnect");
  log["keptRedirected"] = await inPod("kept");
  await iptables("-t", "filter", "-F", "podid-guard");
  log["repairedUnderConnection"] = [await node.ensure(), await inPod("kept")];

  // The target is swapped: the open connection stays with the first, a new one goes to the second.
  node.change({ targetPort: 2580, sharedChain: "leave" });
  log["swapped"] = [await node.ensure(), await inPod("kept"), await inPod("fresh")];
  // What aad-pod-identity does to its chain when it stops changes nothing for pods.
  await iptables("-t", "nat", "-D", "PREROUTING", "-j", "aad-metadata");
  await iptables("-t", "nat", "-F", "aad-metadata");
  await iptables("-t", "nat", "-X", "aad-metadata");
  log["sharedChainGone"] = [await node.check(), await inPod("fresh")];
  node.change({ targetPort: 2579, sharedChain: "write" });
  log["movedBack"] = [await node.ensure(), await inPod("fresh")];

  const wire = async (): Promise<unknown> => [await inPod("wireServer"), await inPod("wireDns")];
  log["wireServer"] = [await wire()];
  node.change({ blockWireServer: true });
  await node.ensure();
  (log["wireServer"] as unknown[]).push(await wire(), await ask(undefined, { host: WIRE_SERVER, port: 80 }));
  await iptables("-t", "filter", "-F");
  (log["wireServer"] as unknown[]).push(await wire());
  node.change({ blockWireServer: false });
  await node.ensure();

  await iptables("-t", "nat", "-I", "PREROUTING", "-i", "foreign0", "-j", "ACCEPT");
  await node.remove();
  await inPod("reconnect");
  log["removed"] = [await inPod("fresh"), await inPod("kept"), await node.check()];
  const left = await systemExec(`iptables-${backend}-save`, []);
  log["left"] = left.stdout.split("\n").filter((line) => /aad-metadata|podid-|foreign0/.test(line));
  // Without conntrack the kept connection stays on its raw path until the guard resets it.
  await bare.ensure();
  log["withoutConntrack"] = [await inPod("kept"), await inPod("fresh")];
  process.stdout.write(`${JSON.stringify(log)}\n`);
  process.exit(0);
}

/** In the pod: asks with a fresh connection or with the one kept open, by message. */
async function client(): Promise<void> {
  let kept = new Agent({ keepAlive: true, maxSockets: 1 });
  process.on("message", (what) => {
    if (what === "reconnect") {
      kept.destroy();
      kept = new Agent({ keepAlive: true, maxSockets: 1 });
      process.send?.("done");
    } else {
      const where: Readonly<Record<string, { host: string; port: number }>> = {
        wireServer: { host: WIRE_SERVER, port: 80 },
        wireDns: { host: WIRE_SERVER, port: 53 },
      };
      const answer = (): void =>
        void ask(what === "kept" ? kept : undefined, where[String(what)]).then((text) => process.send?.(text));
      // The answer to what was asked after the datagram tells that this has arrived or never will.
      if (what === "loopback") createSocket("udp4").send("x", LOOPBACK_PORT, "127.0.0.1", answer);
      else answer();
    }
  });
  await delay(0);
  process.send?.("ready");
}

const [wanted] = process.argv.slice(2);
if (wanted === "client") await client();
else if (wanted === "imds") {
  await serve("raw", METADATA.host, METADATA.port);
  await Promise.all([80, 53].map((port) => serve("wire", WIRE_SERVER, port)));
  process.send?.("ready");
} else await main(wanted === "legacy" ? "legacy" : "nft");
