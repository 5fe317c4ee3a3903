import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { systemExec } from "./exec.ts";

/** Addresses of the pod, of the node as IMDS sees it, and of what IMDS is behind. */
export const POD = "10.1.0.2";
const NODE = "10.2.0.1";
const IMDS_ROUTER = "10.2.0.2";

/** Runs a program. @throws {Error} with what it said when it fails */
export async function sh(...command: string[]): Promise<void> {
  const [program = "", ...args] = command;
  const result = await systemExec(program, args);
  if (result.code !== 0) throw new Error(`${command.join(" ")}: ${result.stderr}`);
}

/**
 * Makes this process's network namespace a node with a namespace `pod` and a namespace `imds`, which is behind a route and has the
 * given addresses, so that what the pod sends to them crosses FORWARD as on a real node. For programs inside `unshare --net --mount`.
 */
export async function buildNode(imdsAddresses: readonly string[]): Promise<void> {
  await sh("ip", "link", "set", "lo", "up");
  for (const [name, node, peer] of [
    ["pod", "10.1.0.1", POD],
    ["imds", NODE, IMDS_ROUTER],
  ] as const) {
    await sh("ip", "netns", "add", name);
    await sh("ip", "link", "add", `to-${name}`, "type", "veth", "peer", "name", "eth0", "netns", name);
    await sh("ip", "address", "add", `${node}/30`, "dev", `to-${name}`);
    await sh("ip", "link", "set", `to-${name}`, "up");
    await sh("ip", "-n", name, "address", "add", `${peer}/30`, "dev", "eth0");
    await sh("ip", "-n", name, "link", "set", "eth0", "up");
    await sh("ip", "-n", name, "link", "set", "lo", "up");
    await sh("ip", "-n", name, "route", "add", "default", "via", node);
  }
  for (const address of imdsAddresses) {
    await sh("ip", "-n", "imds", "address", "add", `${address}/32`, "dev", "lo");
    await sh("ip", "route", "add", address, "via", IMDS_ROUTER);
  }
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
}

/** Forks `program NAME` in a namespace; resolves with its first message. @throws {Error} when it ends before that */
export function forkIn(namespace: string, program: string, name: string): Promise<ChildProcess> {
  const child = fork(program, [name], {
    execPath: "ip",
    execArgv: ["netns", "exec", namespace, process.execPath],
  });
  return new Promise((resolve, reject) => {
    child.once("message", () => resolve(child));
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
  });
}
