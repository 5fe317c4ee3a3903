import type { ChildProcess } from "node:child_process";
import { LogBuffer } from "./log-buffer.ts";
import type { Container, ContainerState } from "./pod-objects.ts";

/** Starts the container's program; `undefined`: it has none here and merely exists, as a pause container does. */
export type StartProgram = (container: Container) => ChildProcess | undefined;

const FIRST_BACK_OFF_MS = 1_000;
const LONGEST_BACK_OFF_MS = 60_000;

/** One container of a pod: its program, restarted as the pod's policy says. */
export class PodContainer {
  readonly log = new LogBuffer();
  readonly #container: Container;
  readonly #policy: "Always" | "OnFailure" | "Never";
  readonly #start: StartProgram;
  readonly #onChange: () => void;
  #child: ChildProcess | undefined;
  #since: number | undefined;
  #ended: ContainerState["ended"];
  #restarts = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;
  #gone: Promise<void> = Promise.resolve();

  constructor(o: {
    container: Container;
    policy: "Always" | "OnFailure" | "Never";
    start: StartProgram;
    onChange: () => void;
  }) {
    this.#container = o.container;
    this.#policy = o.policy;
    this.#start = o.start;
    this.#onChange = o.onChange;
  }

  get state(): ContainerState {
    return {
      name: this.#container.name,
      image: this.#container.image ?? "",
      restarts: this.#restarts,
      running: this.#since === undefined ? undefined : { since: this.#since },
      ended: this.#ended,
      backOff: this.#timer !== undefined,
    };
  }

  start(): void {
    const startedAt = Date.now();
    this.#since = startedAt;
    const child = this.#start(this.#container);
    this.#child = child;
    if (child === undefined) return;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => this.log.write(text));
    this.#gone = new Promise((resolve) => {
      child.once("error", (error) => this.log.add(`cannot start: ${error.message}`));
      child.once("close", (code) => {
        this.#child = undefined;
        this.#since = undefined;
        this.#ended = { code: code ?? 137, startedAt, at: Date.now() };
        this.log.flush();
        const again = this.#policy === "Always" || (this.#policy === "OnFailure" && code !== 0);
        if (again && !this.#stopping) {
          const delay = Math.min(FIRST_BACK_OFF_MS * 2 ** this.#restarts, LONGEST_BACK_OFF_MS);
          this.#timer = setTimeout(() => {
            this.#timer = undefined;
            this.#restarts += 1;
            this.start();
            this.#onChange();
          }, delay);
        }
        resolve();
        this.#onChange();
      });
    });
  }

  /** SIGTERM, after the grace period SIGKILL. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const child = this.#child;
    if (child !== undefined) {
      child.kill(graceMs > 0 ? "SIGTERM" : "SIGKILL");
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await this.#gone;
      clearTimeout(timer);
    } else if (this.#since !== undefined) {
      this.#ended = { code: 0, startedAt: this.#since, at: Date.now() };
      this.#since = undefined;
    }
    this.log.close();
  }
}
