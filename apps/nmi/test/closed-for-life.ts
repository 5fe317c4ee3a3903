/**
 * The shipped process through its whole life, while a pod never stops asking. Runs inside `unshare --net --mount`,
 * prints what happened as one line of JSON.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { systemExec } from "@podid/iptables";
import { sh } from "@podid/iptables/testing";
import { MAIN, TrueNode } from "./true-node.ts";

const node = await TrueNode.build();
const log: Record<string, unknown> = {};
// What others have on a node, in every table, to be found again at the end.
for (const [table, ...rule] of [
  ["filter", "FORWARD", "-i", "foreign0", "-j", "ACCEPT"],
  ["filter", "OUTPUT", "-o", "foreign0", "-j", "ACCEPT"],
  ["mangle", "POSTROUTING", "-o", "foreign0", "-j", "ACCEPT"],
  ["mangle", "PREROUTING", "-i", "foreign0", "-j", "ACCEPT"],
  ["nat", "PREROUTING", "-i", "foreign0", "-j", "ACCEPT"],
  ["nat", "OUTPUT", "-o", "foreign0", "-j", "ACCEPT"],
])
  await sh("iptables", "-t", String(table), "-A", ...rule);
const before = await node.rules();

let agent = await node.nmi().ready();
log["s75"] = (await node.rules()).split("\n").filter((line) => line.startsWith("-A aad-metadata"));
log["served"] = await node.during(async () => undefined);
log["terminated"] = await node.during(() => agent.end("SIGTERM"));
log["startedAgain"] = await node.during(async () => (agent = await node.nmi().ready()));
log["killed"] = await node.during(() => agent.end("SIGKILL"));
log["apiServerAway"] = await node.during(async () => {
  node.kube.faults.refuse();
  agent = node.nmi();
  await agent.says("listening on");
});
node.kube.faults.accept();
await agent.ready();

const damages: Readonly<Record<string, readonly string[][]>> = {
  natWiped: [["-t", "nat", "-F"]],
  chainsDeleted: ["aad-metadata", "podid-metadata"].flatMap((chain) => [
    ["-t", "nat", "-D", "PREROUTING", "-j", chain],
    ["-t", "nat", "-F", chain],
    ["-t", "nat", "-X", chain],
  ]),
  filterFlushed: [["-t", "filter", "-F"]],
  guardFlushedAndNatWiped: [
    ["-t", "filter", "-F", "podid-guard"],
    ["-t", "nat", "-F"],
  ],
  mangleFlushed: [["-t", "mangle", "-F"]],
  jumpBehindAcceptingRule: [["-t", "nat", "-I", "PREROUTING", "-p", "tcp", "--dport", "80", "-j", "ACCEPT"]],
};
let repairs = 0;
for (const [name, commands] of Object.entries(damages)) {
  log[name] = await node.during(async () => {
    for (const command of commands) await sh("iptables", ...command);
    if (name === "jumpBehindAcceptingRule") {
      await new Promise((resolve) => setTimeout(resolve, 300));
      await sh("iptables", "-t", "nat", "-D", "PREROUTING", "-p", "tcp", "--dport", "80", "-j", "ACCEPT");
    } else await agent.says("have been repaired", ++repairs);
  });
}
log["servedAgain"] = await node.during(async () => undefined);

// Whatever the API server says, and whoever deletes the DaemonSet: the rules stay when the process goes.
const refusals: Record<string, unknown> = {};
for (const status of [401, 403, 404, 503]) {
  const stop = node.kube.faults.add({ status });
  node.kube.faults.cutWatches({}, "reset");
  await new Promise((resolve) => setTimeout(resolve, 100));
  refusals[status] = [await agent.end("SIGTERM"), (await node.rules()).includes("-j podid-guard")];
  stop();
  agent = await node.nmi().ready();
}
log["refusals"] = refusals;
log["askedImds"] = await node.askedImds();

await agent.end("SIGTERM");
// The foreign rules that were flushed above come back, as their owner would see to.
await sh("iptables", "-t", "filter", "-A", "FORWARD", "-i", "foreign0", "-j", "ACCEPT");
await sh("iptables", "-t", "filter", "-A", "OUTPUT", "-o", "foreign0", "-j", "ACCEPT");
await sh("iptables", "-t", "mangle", "-A", "POSTROUTING", "-o", "foreign0", "-j", "ACCEPT");
await sh("iptables", "-t", "mangle", "-A", "PREROUTING", "-i", "foreign0", "-j", "ACCEPT");
await sh("iptables", "-t", "nat", "-A", "PREROUTING", "-i", "foreign0", "-j", "ACCEPT");
await sh("iptables", "-t", "nat", "-A", "OUTPUT", "-o", "foreign0", "-j", "ACCEPT");
log["cleanup"] = [await node.run("cleanup"), (await node.rules()) === before];
await node.during(async () => undefined);
log["afterCleanup"] = await node.askedImds();

// A listen address that needs no route_localnet.
const LINK_LOCAL = "169.254.25.79";
const ROUTE_LOCALNET = "/proc/sys/net/ipv4/conf/all/route_localnet";
const routeLocalnet = (): string => readFileSync(ROUTE_LOCALNET, "utf8").trim();
writeFileSync(ROUTE_LOCALNET, "0");
const hasLinkLocal = async (): Promise<boolean> =>
  (await systemExec("ip", ["address", "show", "dev", "lo"])).stdout.includes(LINK_LOCAL);
const onLinkLocal = `--nmi-listen-address=${LINK_LOCAL}`;
agent = await node.nmi(onLinkLocal).ready();
log["linkLocal"] = [await hasLinkLocal(), routeLocalnet(), await node.during(async () => undefined)];
await agent.end("SIGTERM");
log["linkLocalGone"] = [await node.run("cleanup", onLinkLocal), await hasLinkLocal(), (await node.rules()) === before];

// Only the guard, as a unit before kubelet or an init container has it.
const printed = await systemExec(process.execPath, [MAIN, "guard", "print"]);
await systemExec("iptables-restore", ["--noflush"], { stdin: printed.stdout });
const guarded = await node.rules();
log["guardPrinted"] = await node.during(async () => undefined);
log["guard"] = [await node.run("guard"), (await node.rules()) === guarded];

agent = await node.nmi().ready();
await node.markUninstalling();
await agent.says("is being uninstalled");
log["uninstalled"] = [await agent.end("SIGTERM"), (await node.rules()) === before];
process.stdout.write(`${JSON.stringify(log)}\n`);
process.exit(0);
