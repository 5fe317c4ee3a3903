import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { until } from "./until.ts";

/** MIC or NMI, from its bundle. */
export class AgentProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #probePort: number;
  readonly #exited: Promise<number | null>;
  #log = "";

  constructor(o: {
    readonly name: string;
    readonly bundle: string;
    readonly args: readonly string[];
    readonly env?: NodeJS.ProcessEnv;
    readonly probePort: number;
  }) {
    this.name = o.name;
    this.#probePort = o.probePort;
    this.#child = spawn(process.execPath, [o.bundle, `--http-probe-port=${o.probePort}`, ...o.args], {
      env: { PATH: process.env["PATH"], ...o.env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#log += text));
    this.#exited = new Promise((resolve) => this.#child.once("exit", resolve));
  }

  ready(): Promise<void> {
    return this.#probe("/readyz", "");
  }

  /** MIC: until it leads. */
  active(): Promise<void> {
    return this.#probe("/healthz", "Active");
  }

  async says(text: string): Promise<void> {
    await this.#until(`logs ${text}`, async () => this.#log.includes(text));
  }

  /** @throws unless it ends with 0 */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const code = await this.#exited;
    if (code !== 0) throw new Error(`${this.name} ended with ${code}: ${this.tail}`);
  }

  get tail(): string {
    return this.#log.split("\n").slice(-15).join("\n");
  }

  #probe(path: string, text: string): Promise<void> {
    return this.#until(`${path} is 200 ${text}`, async () => {
      const answer = await fetch(`http://127.0.0.1:${this.#probePort}${path}`);
      return (await answer.text()).startsWith(text) && answer.ok;
    });
  }

  async #until(what: string, probe: () => Promise<boolean>): Promise<void> {
    try {
      await until(`${this.name} ${what}`, async () => {
        if (this.#child.exitCode !== null) return true;
        return probe();
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${this.tail}`, { cause: error });
    }
    if (this.#child.exitCode !== null) throw new Error(`${this.name} ended with ${this.#child.exitCode}: ${this.tail}`);
  }
}
