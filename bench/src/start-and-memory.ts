import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { field } from "./process-memory.ts";
import type { Memory } from "./process-memory.ts";

/**
 * Run in a node's network namespace by the suite `nmi-start`: starts a program and prints, as JSON, how long that took
 * until `GET url` answered 200, and the resident memory two seconds later.
 */
interface Input {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly url: string;
}

export interface Sample extends Memory {
  readonly milliseconds: number;
}

const SETTLE_MS = 2000;
const input = JSON.parse(process.argv[2] ?? "{}") as Input;
process.stdout.write(JSON.stringify(await measure(input)));

async function measure({ command, env, url }: Input): Promise<Sample> {
  const [program = "", ...args] = command;
  const start = performance.now();
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  while (!(await isReady(url))) {
    if (child.exitCode !== null) throw new Error(`${command.join(" ")} ended with ${child.exitCode}`);
    await pause(2);
  }
  const milliseconds = performance.now() - start;
  await pause(SETTLE_MS);
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  child.kill("SIGTERM");
  await ended;
  return { milliseconds, residentBytes: field(status, "VmRSS"), anonymousBytes: field(status, "RssAnon") };
}

function isReady(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    request(url, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .on("error", () => resolve(false))
      .end();
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
