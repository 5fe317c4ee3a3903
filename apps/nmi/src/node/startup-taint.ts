import type { Clock } from "@podid/imds-proxy";
import { KubeError } from "@podid/kube";
import type { KubeObject, Log, ResourceClient } from "@podid/kube";

export interface StartupTaintOptions {
  readonly nodes: Pick<ResourceClient, "get" | "patch">;
  readonly node: string;
  /** Key of the taint; its value and effect do not matter. */
  readonly key: string;
  readonly clock: Pick<Clock, "setTimeout">;
  readonly log: Log;
  /** Whether the node is served. */
  readonly ready: () => boolean;
  /** Whether a pod's request has to have come as well. */
  readonly canary: boolean;
}

interface Taint {
  readonly key?: unknown;
}

const LOOK_MS = 500;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/**
 * Takes the taint off its node that keeps workloads away from a new one, once. With a canary it waits for a request of
 * a pod too: that alone shows that this cluster's network leads pods through the rules.
 */
export class StartupTaint {
  readonly #options: StartupTaintOptions;
  #arrived = false;
  #failures = 0;
  #stopped = false;
  #timer: { cancel(): void } | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: StartupTaintOptions) {
    this.#options = options;
  }

  start(): void {
    this.#later(0);
  }

  /** A request of a pod of this node, not of the node itself, has arrived. */
  arrived(): void {
    this.#arrived = true;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #later(ms: number): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#running = this.#look();
    }, ms);
  }

  async #look(): Promise<void> {
    const { ready, canary, log, key, node } = this.#options;
    if (!ready() || (canary && !this.#arrived)) return this.#later(LOOK_MS);
    try {
      if (await this.#remove()) log.info({ node, taint: key }, "took the startup taint off the node");
    } catch (error) {
      // Another writer of the node was quicker: nothing is wrong, and nothing has to be waited for.
      const conflict = error instanceof KubeError && (error.status === 409 || error.status === 422);
      const retryInMs = conflict ? LOOK_MS : Math.min(FIRST_RETRY_MS * 2 ** this.#failures++, LONGEST_RETRY_MS);
      const fix = "NMI needs get and patch on nodes for --startup-taint";
      if (!conflict) log.error({ node, taint: key, error: String(error), retryInMs, fix }, "the startup taint stays");
      this.#later(retryInMs);
    }
  }

  /** @returns whether it was there */
  async #remove(): Promise<boolean> {
    const { nodes, node, key } = this.#options;
    const object: KubeObject = await nodes.get(node);
    const taints = (object["spec"] as { taints?: readonly Taint[] } | undefined)?.taints ?? [];
    const left = taints.filter((taint) => taint.key !== key);
    if (left.length === taints.length) return false;
    // The whole list is written, hence the test: a taint that somebody adds meanwhile must not get lost.
    const body = [
      { op: "test", path: "/metadata/resourceVersion", value: object.metadata.resourceVersion },
      { op: "replace", path: "/spec/taints", value: left },
    ];
    await nodes.patch(node, undefined, { type: "json", body });
    return true;
  }
}
