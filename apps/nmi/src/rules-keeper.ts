import type { Clock } from "@podid/imds-proxy";
import type { NodeRules } from "@podid/iptables";
import type { Log } from "@podid/kube";

export interface RulesKeeperOptions {
  readonly rules: Pick<NodeRules, "ensure">;
  readonly clock: Pick<Clock, "setTimeout">;
  /** 0: once they are in they are not looked at again. */
  readonly intervalMs: number;
  readonly log: Log;
  readonly onRepair?: () => void;
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/** Keeps the node's rules in. A failure is a reason not to be ready, never one to stop serving. */
export class RulesKeeper {
  readonly #options: RulesKeeperOptions;
  #problem: string | undefined = "the rules are not in yet";
  #failures = 0;
  #installed = false;
  #stopped = false;
  #timer: { cancel(): void } | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: RulesKeeperOptions) {
    this.#options = options;
  }

  /** Why the rules may not be in; undefined when they are. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves after the first attempt, whatever came of it. */
  start(): Promise<void> {
    this.#running = this.#attempt();
    return this.#running;
  }

  /** Waits for an attempt under way; leaves the rules in. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #attempt(): Promise<void> {
    const { rules, log, intervalMs, onRepair } = this.#options;
    let nextMs = intervalMs;
    try {
      const { changed } = await rules.ensure();
      if (changed && this.#installed) {
        log.warn({}, "the iptables rules were changed by somebody else and have been repaired");
        onRepair?.();
      }
      this.#installed = true;
      this.#failures = 0;
      this.#problem = undefined;
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
      nextMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures++, LONGEST_RETRY_MS);
      log.error({ error: this.#problem, retryInMs: nextMs }, "the iptables rules could not be put in");
    }
    if (this.#stopped || nextMs === 0) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#running = this.#attempt();
    }, nextMs);
  }
}
