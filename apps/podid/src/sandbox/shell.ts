import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly stdin?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** After which the program is killed. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end; 127 when it does not exist, 128 when a signal or the time-out ended it. */
export function output(command: string, args: readonly string[], options: RunOptions = {}): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: options.env ?? process.env,
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: "SIGKILL" as const }),
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdin.on("error", () => undefined);
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") resolve({ code: 127, stdout: "", stderr: `${command}: not found` });
      else reject(error);
    });
    child.once("close", (code) => resolve({ code: code ?? 128, stdout, stderr }));
    child.stdin.end(options.stdin ?? "");
  });
}

/** As {@link output}. @throws Error with what the program said when it fails */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await output(command, args, options);
  if (result.code === 0) return result.stdout;
  throw new Error(`${command} ${args.join(" ")} failed with ${result.code}: ${result.stderr.trim()}`);
}

/** Arguments of `nsenter` into a named network namespace. */
export function inNamespace(namespace: string): readonly string[] {
  return [`--net=/run/netns/${namespace}`, "--"];
}

export function runIn(
  namespace: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return run("nsenter", [...inNamespace(namespace), command, ...args], options);
}

export function spawnIn(
  namespace: string,
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  return spawn("nsenter", [...inNamespace(namespace), command, ...args], options);
}
