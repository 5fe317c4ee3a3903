import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { until } from "@podid/e2e/until";
import { field } from "./process-memory.ts";
import type { Memory } from "./process-memory.ts";

/** Of /proc/PID/stat; the same on every Linux there is. */
const TICKS_PER_SECOND = 100;

/** MIC as it is shipped: its bundle, in a process of its own, with what the log says of it. */
export class ShippedProcess {
  readonly #child: ChildProcess;
  #log = "";

  constructor(bundle: string, flags: readonly string[], env: NodeJS.ProcessEnv) {
    const ports = ["--probe-host=127.0.0.1", "--http-probe-port=0", "--prometheus-port=0", "--log-format=json"];
    this.#child = spawn(process.execPath, [bundle, ...ports, ...flags], {
      env: { PATH: process.env["PATH"], ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      // The ports come first; of the rest only the end is worth keeping.
      this.#log = this.#log.length > 1_000_000 ? this.#log.slice(0, 20_000) + text : this.#log + text;
    });
  }

  /** Resolves when it leads. */
  async active(timeoutMs = 60_000): Promise<void> {
    await until(
      "MIC leads",
      async () => {
        if (this.#child.exitCode !== null)
          throw new Error(`MIC ended with ${this.#child.exitCode}: ${this.#log.slice(-2000)}`);
        const port = /"port":(\d+)[^\n]*"initialized health probe|"initialized health probe[^\n]*"port":(\d+)/.exec(
          this.#log,
        );
        if (port === null) return false;
        const answer = await fetch(`http://127.0.0.1:${port[1] ?? port[2]}/healthz`);
        return (await answer.text()) === "Active";
      },
      timeoutMs,
    );
  }

  /** Processor time so far, of all its threads. */
  get cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  get memory(): Memory & { readonly peakBytes: number } {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    return {
      residentBytes: field(status, "VmRSS"),
      anonymousBytes: field(status, "RssAnon"),
      peakBytes: field(status, "VmHWM"),
    };
  }

  /** What it logged last. */
  get tail(): string {
    return this.#log.slice(-3000);
  }

  /** As Kubernetes ends it: it gives up its Lease. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 20_000);
    await gone;
    clearTimeout(timer);
  }
}
