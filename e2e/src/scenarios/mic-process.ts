import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { until } from "../until.ts";

interface LogLine {
  readonly msg?: string;
  readonly port?: number;
}

/** MIC as it is shipped: its bundle, in a process of its own, listening on ports of its own. */
export class MicProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  #log = "";

  constructor(bundle: string, flags: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(
      process.execPath,
      [
        bundle,
        "--probe-host=127.0.0.1",
        "--http-probe-port=0",
        "--prometheus-port=0",
        "--log-format=json",
        "--v=5",
        ...flags,
      ],
      { env: { PATH: process.env["PATH"], ...env }, stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#log += text));
    this.#exited = new Promise((resolve) => this.#child.once("exit", resolve));
  }

  get log(): string {
    return this.#log;
  }

  /** What it logged, line by line, without the fields. */
  get messages(): string[] {
    return this.#lines().map(({ msg = "" }) => msg);
  }

  /** What it logged, line by line, with all fields. */
  get fields(): readonly Readonly<Record<string, unknown>>[] {
    return this.#lines() as readonly object[] as readonly Readonly<Record<string, unknown>>[];
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when it has ended, with its exit code; null when a signal ended it. */
  get exited(): Promise<number | null> {
    return this.#exited;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async end(): Promise<void> {
    // A stopped process dies of SIGKILL as well.
    if (this.isRunning) this.#child.kill("SIGKILL");
    await this.#exited;
  }

  says(text: string, timeoutMs?: number): Promise<true> {
    return until(
      `MIC logs ${JSON.stringify(text)}`,
      () => this.#alive(this.messages.some((message) => message.includes(text))),
      timeoutMs,
    );
  }

  /** Until it leads. */
  active(timeoutMs?: number): Promise<true> {
    return until("MIC is active", async () => this.#alive((await this.healthz()) === "Active"), timeoutMs);
  }

  async healthz(): Promise<string> {
    return this.#get(await this.#port("initialized health probe"), "/healthz");
  }

  async readyz(): Promise<string> {
    return this.#get(await this.#port("initialized health probe"), "/readyz");
  }

  async metrics(): Promise<string> {
    return this.#get(await this.#port("registered and exported metrics"), "/metrics");
  }

  async #get(port: number, path: string): Promise<string> {
    return (await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(2_000) })).text();
  }

  #port(message: string): Promise<number> {
    return until(`MIC logs its port: ${message}`, () =>
      this.#alive(this.#lines().find(({ msg }) => msg?.startsWith(message))?.port),
    );
  }

  /** @throws when it has ended meanwhile: what is waited for cannot come any more */
  #alive<T>(answer: T): Promise<T> {
    if (!this.isRunning) throw new Error(`MIC ended with ${this.#child.exitCode}: ${this.#log.slice(-2000)}`);
    return Promise.resolve(answer);
  }

  #lines(): LogLine[] {
    return this.#log
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        try {
          return JSON.parse(line) as LogLine;
        } catch {
          return { msg: line };
        }
      });
  }
}
