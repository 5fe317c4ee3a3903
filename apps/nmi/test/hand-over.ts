/**
 * Node agents that follow each other while a pod never stops asking: ours after ours, ours after aad-pod-identity's,
 * and back. Runs inside `unshare --net --mount`, prints what happened as one line of JSON.
 */
import { join } from "node:path";
import { NodeProcess, TrueNode } from "./true-node.ts";

const OTHER = join(import.meta.dirname, "other-nmi.ts");
const node = await TrueNode.build();
const log: Record<string, unknown> = {};
const targets = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    [...(await node.rules()).matchAll(/^-A (\S+-metadata) .*--to-destination 127\.0\.0\.1:(\d+)$/gm)].map(
      ([, chain = "", port = ""]) => [chain, port],
    ),
  );

// A rolling upgrade, twice.
let running = await node.nmi().ready();
const upgrades: unknown[] = [];
for (let round = 0; round < 2; round++) {
  const overlap: Record<string, unknown> = {};
  overlap["outcomes"] = await node.during(async () => {
    const next = await node.nmi().ready();
    overlap["away"] = await targets();
    await new Promise((resolve) => setTimeout(resolve, 300));
    overlap["exit"] = await running.end("SIGTERM");
    await next.says("moved to the usual port");
    overlap["home"] = await targets();
    await new Promise((resolve) => setTimeout(resolve, 300));
    overlap["tookOver"] = /took over tokens/.test(next.log);
    running = next;
  });
  upgrades.push(overlap);
}
log["upgrades"] = upgrades;

// The successor is killed right after it took over: the one before is still there and takes the rules back.
log["successorKilled"] = await node.during(async () => {
  const next = await node.nmi().ready();
  await next.end("SIGKILL");
  await running.says("the successor is gone");
  while ((await targets())["podid-metadata"] !== "2579") await new Promise((resolve) => setTimeout(resolve, 20));
});
log["afterSuccessorKilled"] = [await node.during(async () => undefined), await targets()];

// A third one starts while a second one waits, and the first is killed: nobody is left out and nobody fights.
log["killedWhileWaiting"] = await node.during(async () => {
  const next = node.nmi();
  await next.says("listening on");
  await running.end("SIGKILL");
  running = await next.ready();
});
await running.says("moved to the usual port");

// Back to aad-pod-identity: its NMI cannot listen until ours is gone, and is started again and again.
log["rollBack"] = await node.during(async () => {
  const early = new NodeProcess(OTHER);
  const failed = await early.exited;
  const exit = await running.end("SIGTERM");
  log["rollBackExits"] = [failed, exit];
});
let other = new NodeProcess(OTHER);
await other.says("serving");
log["rolledBack"] = await node.during(async () => undefined);

// And the way over: ours starts while the other one serves and looks after its chain.
const over: Record<string, unknown> = {};
over["outcomes"] = await node.during(async () => {
  running = await node.nmi().ready();
  // Long enough for the other one to look at its chain.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  over["beside"] = await targets();
  other.child.kill("SIGTERM");
  await other.says("chain removed");
  over["chainGone"] = await targets();
  await other.exited;
  await running.says("moved to the usual port");
  over["home"] = await targets();
});
log["over"] = over;

// Told to stop before the other one is gone, ours leaves rules that lead to the other one.
other = new NodeProcess(OTHER);
await other.exited;
await running.end("SIGKILL");
other = new NodeProcess(OTHER);
await other.says("serving");
running = await node.nmi().ready();
log["givenUp"] = [await running.end("SIGTERM"), await targets(), await node.during(async () => undefined)];
other.child.kill("SIGTERM");
await other.exited;
// Even then it stays closed.
log["otherGone"] = await node.during(async () => undefined);
log["askedImds"] = await node.askedImds();
process.stdout.write(`${JSON.stringify(log)}\n`);
process.exit(0);
