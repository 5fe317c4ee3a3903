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
  /** Chains that have to be filled anew although their text is right. */
  readonly rewrite?: () => Promise<ReadonlySet<string>>;
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/** Keeps the node's rules in. A failure is a reason not to be ready, never one to stop serving. */
export class RulesKeeper {
  readonly #options: RulesKeeperOptions;
  #problem: string | undefined = "the rules are not in yet";
  #failures = 0;
  #installed = false;
  #stopped = true;
  #timer: { cancel(): void } | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: RulesKeeperOptions) {
    this.#options = options;
  }

  /** Why the rules may not be in; undefined when they are. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves after the first attempt, whatever came of it. May follow {@link stop}. */
  start(): Promise<void> {
    this.#stopped = false;
    return this.look();
  }

  /** Looks now rather than in the interval; whatever came of it is in {@link problem}. */
  look(): Promise<void> {
    this.#timer?.cancel();
    this.#running = this.#running.then(() => this.#attempt());
    return this.#running;
  }

  /** The next change of the rules is ours, no repair. */
  expectChange(): void {
    this.#installed = false;
  }

  /** Waits for an attempt under way; leaves the rules in. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #attempt(): Promise<void> {
    const { rules, log, intervalMs, onRepair, rewrite } = this.#options;
    let nextMs = intervalMs;
    if (this.#stopped) return;
    try {
      const stale = await rewrite?.();
      const { changed } = await rules.ensure(stale === undefined ? {} : { rewrite: stale });
      if (changed && this.#installed && (stale?.size ?? 0) === 0) {
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
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimeout(() => void this.look(), nextMs);
  }
}
