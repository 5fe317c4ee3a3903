/**
 * A node with IMDS behind a route, and processes in the node's own network, some of them in a control group that the
 * rules let through. Runs inside `unshare --net --mount`, with a folder of control groups v2 of its own; prints what
 * happened as one line of JSON.
 */
import { spawn } from "node:child_process";
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, relative } from "node:path";
import { HOST_CHAIN, NodeRules, systemExec } from "../src/index.ts";
import { buildNode, forkIn, sh } from "../src/testing.ts";

const IMDS = "169.254.169.254";
const ASK = `fetch("http://${IMDS}/", { signal: AbortSignal.timeout(2000) }).then((r) => r.text()).catch((e) => e.cause?.code ?? e.name).then(console.log)`;

async function serve(name: string, host: string, port: number): Promise<void> {
  const server = createServer((request, response) => response.end(`${name} ${request.socket.remoteAddress}`));
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
}

/** What a process in that control group is answered. */
function ask(group: string): Promise<string> {
  const child = spawn("sh", [
    "-c",
    'echo $$ > "$1"; exec "$0" -e "$2"',
    process.execPath,
    join(group, "cgroup.procs"),
    ASK,
  ]);
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.pipe(process.stderr);
  return new Promise((resolve) => child.once("close", () => resolve(text.trim())));
}

async function main(backend: string, root: string, folder: string): Promise<void> {
  await buildNode([IMDS]);
  writeFileSync("/proc/sys/net/ipv4/conf/all/route_localnet", "1");
  await forkIn("imds", import.meta.filename, "imds");
  await serve("nmi", "127.0.0.1", 2579);
  await sh(`iptables-${backend}`, "-t", "mangle", "-N", "KUBE-IPTABLES-HINT");
  const [allowed, below, other] = ["allowed", "allowed/below", "other"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const group of [allowed, below, other]) mkdirSync(group);
  const node = new NodeRules({
    exec: systemExec,
    rules: {
      metadataIp: IMDS,
      metadataPort: 80,
      targetIp: "127.0.0.1",
      targetPort: 2579,
      hostNetwork: { allow: [relative(root, allowed)] },
    },
  });
  const all = async (): Promise<readonly string[]> => [await ask(allowed), await ask(below), await ask(other)];
  const log: Record<string, unknown> = {};
  log["before"] = await all();
  log["installed"] = [await node.ensure(), await node.check(), await node.ensure()];
  log["intercepted"] = await all();
  await sh(`iptables-${backend}`, "-t", "nat", "-F");
  log["natWiped"] = await all();
  await node.ensure();
  // A service that is started anew gets a group of the same name; the rule still means the old one.
  rmdirSync(below);
  rmdirSync(allowed);
  mkdirSync(allowed);
  log["remade"] = [await ask(allowed), await node.ensure(), await ask(allowed)];
  log["rewritten"] = [await node.ensure({ rewrite: new Set([HOST_CHAIN]) }), await ask(allowed), await ask(other)];
  await node.remove();
  log["removed"] = [await ask(allowed), await ask(other)];
  for (const group of [allowed, other]) rmdirSync(group);
  process.stdout.write(`${JSON.stringify(log)}\n`);
  process.exit(0);
}

const [first = "", root = "", folder = ""] = process.argv.slice(2);
if (first === "imds") {
  await serve("raw", IMDS, 80);
  process.send?.("ready");
} else await main(first, root, folder);
