import type { ChildProcess } from "node:child_process";
import { LogBuffer } from "./log-buffer.ts";
import { spawnIn } from "./shell.ts";

export interface ProcessPlan {
  readonly name: string;
  readonly app: "mic" | "nmi";
  /** Network namespace it runs in. */
  readonly namespace: string;
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Where it answers `/readyz`. */
  readonly readyUrl: string;
}

/** One row of the control API's list. */
export interface ProcessStatus {
  readonly name: string;
  readonly app: string;
  readonly state: "running" | "stopped" | "waiting";
  /** In the sandbox's pid namespace. */
  readonly pid: number | undefined;
  readonly restarts: number;
  /** How the last one ended, e.g. `SIGKILL` or `1`. */
  readonly lastExit: string | undefined;
  /** Epoch milliseconds. */
  readonly startedAt: number | undefined;
}

const RESTART_DELAY_MS = 250;
/** A process that keeps dying is started ever more slowly, up to this. */
const LONGEST_DELAY_MS = 10_000;
const HEALTHY_MS = 10_000;
const KILL_AFTER_MS = 90_000;

/** A process that is started again whenever it ends, unless it was stopped. */
export class SupervisedProcess {
  readonly plan: ProcessPlan;
  readonly log = new LogBuffer();
  readonly #onChange: (event: string) => void;
  #child: ChildProcess | undefined;
  #wanted = false;
  #restarts = 0;
  #failures = 0;
  #lastExit: string | undefined;
  #startedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended: Promise<void> = Promise.resolve();

  /** `onChange` is told of starts and ends in words. */
  constructor(plan: ProcessPlan, onChange: (event: string) => void) {
    this.plan = plan;
    this.#onChange = onChange;
  }

  get status(): ProcessStatus {
    return {
      name: this.plan.name,
      app: this.plan.app,
      state: this.#child ? "running" : this.#wanted ? "waiting" : "stopped",
      pid: this.#child?.pid,
      restarts: this.#restarts,
      lastExit: this.#lastExit,
      startedAt: this.#startedAt,
    };
  }

  start(): void {
    this.#wanted = true;
    if (this.#child === undefined) this.#spawn();
  }

  /** SIGTERM, and SIGKILL if that does not end it within 90 s; it stays down until {@link start}. */
  async stop(): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) return;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  async restart(): Promise<void> {
    await this.stop();
    this.start();
  }

  /** Sends a signal and leaves the rest to supervision. @returns false when there is no such process now */
  kill(signal: NodeJS.Signals): boolean {
    return this.#child?.kill(signal) ?? false;
  }

  #spawn(): void {
    clearTimeout(this.#timer);
    const [command = "", ...args] = this.plan.command;
    const child = spawnIn(this.plan.namespace, command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: this.plan.env,
    });
    this.#child = child;
    this.#startedAt = Date.now();
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => this.log.write(text));
    child.once("error", (error) => this.log.add(`cannot start ${command}: ${error.message}`));
    this.#ended = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#child = undefined;
        this.#lastExit = signal ?? String(code);
        this.log.flush();
        if (this.#wanted) {
          this.#failures = Date.now() - (this.#startedAt ?? 0) > HEALTHY_MS ? 0 : this.#failures + 1;
          const delay = Math.min(RESTART_DELAY_MS * 2 ** Math.max(0, this.#failures - 1), LONGEST_DELAY_MS);
          this.#onChange(`${this.plan.name} ended with ${this.#lastExit}, starts again in ${delay} ms`);
          this.#timer = setTimeout(() => {
            this.#restarts += 1;
            this.#spawn();
          }, delay);
        } else this.#onChange(`${this.plan.name} stopped`);
        resolve();
      });
    });
    this.#onChange(`${this.plan.name} started`);
  }
}
