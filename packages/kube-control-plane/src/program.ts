import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";

/** A child process whose output goes to a file. */
export class Program {
  readonly #child;
  readonly #name: string;
  readonly #logFile: string;

  /** @param env variables besides those of this process */
  constructor(path: string, args: readonly string[], logFile: string, env: Readonly<Record<string, string>> = {}) {
    this.#name = path;
    this.#logFile = logFile;
    this.#child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    const log = createWriteStream(logFile, { flags: "a" });
    this.#child.stdout.pipe(log, { end: false });
    this.#child.stderr.pipe(log, { end: false });
    this.#child.on("close", () => log.end());
    this.#child.on("error", (error) => log.write(`${error.message}\n`));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get exited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  /** Polls `ready` until it holds. @throws when the program ends first or `timeoutMs` pass; the message names its log. */
  async until(ready: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await ready().catch(() => false))) {
      if (this.exited)
        throw new Error(
          `${this.#name} ended with ${this.#child.exitCode ?? this.#child.signalCode}; see ${this.#logFile}`,
        );
      if (performance.now() > deadline)
        throw new Error(`${this.#name} is not ready after ${timeoutMs / 1000} s; see ${this.#logFile}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async stop(name: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.exited) return;
    const closed = once(this.#child, "exit");
    this.#child.kill(name);
    await closed;
  }
}
