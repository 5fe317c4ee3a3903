import { KubeError, ResourceClient, RESOURCES, WorkQueue } from "@podid/kube";
import type { Clock, KubeObject, KubeTransport } from "@podid/kube";
import type { Logger } from "@podid/service";
import { FENCED_MS } from "./fenced.ts";
import { LIFECYCLE_CONFIG_MAP } from "./drain/lifecycle.ts";

/**
 * Key in the lifecycle ConfigMap: identities that NMI refuses to pods, one per line: a client id, or an ARM id and, once it is
 * known, its client id. NMI reads it.
 */
export const NODE_IDENTITIES_KEY = "nodeIdentities";

export interface NodeNoticeOptions {
  readonly transport: KubeTransport;
  /** MIC's own. */
  readonly namespace: string;
  /** Client ids, and ARM ids with their client ids as far as known. */
  readonly ids: () => ReadonlyMap<string, string | undefined>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly fenced: () => string | undefined;
  readonly dryRun: boolean;
}

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * Tells all NMIs which identities are the cluster's own, in the ConfigMap that they watch anyhow. The ConfigMap is the
 * installation's: one that does not exist is not made, because whoever installs podid next would stumble over it.
 */
export class NodeNotice {
  readonly #o: NodeNoticeOptions;
  readonly #client: ResourceClient<ConfigMap>;
  readonly #queue: WorkQueue;

  constructor(options: NodeNoticeOptions) {
    const { transport, clock, random, log } = options;
    this.#o = options;
    this.#client = new ResourceClient<ConfigMap>(transport, RESOURCES.configMaps);
    this.#queue = new WorkQueue({
      concurrency: 1,
      handler: (name) => this.#publish(name),
      clock,
      random,
      onError: (_name, error, retryInMs) =>
        log.warn({ retryInMs, error: String(error) }, "could not tell NMI which identities are not for pods"),
    });
  }

  start(): void {
    this.#queue.start();
    this.renew();
  }

  /** The ids, or the ConfigMap, may have changed. */
  renew(): void {
    if (!this.#o.dryRun) this.#queue.add(LIFECYCLE_CONFIG_MAP);
  }

  async stop(): Promise<void> {
    await this.#queue.stop({ graceMs: 0 });
  }

  async #publish(name: string): Promise<{ readonly requeueAfterMs: number } | undefined> {
    const { namespace, ids, fenced, log } = this.#o;
    const found = await this.#find(name);
    if (found === undefined) {
      if (ids().size > 0)
        log.info(
          {},
          `there is no ConfigMap ${namespace}/${name} by which NMI could learn which identities are not for pods`,
        );
      return undefined;
    }
    const before = found.data?.[NODE_IDENTITIES_KEY] ?? "";
    const text = noticeText(ids(), before);
    if (before === text) return undefined;
    if (fenced() !== undefined) return { requeueAfterMs: FENCED_MS };
    // With the version that was read: the phase beside it is somebody else's.
    await this.#client.update({ ...found, data: { ...found.data, [NODE_IDENTITIES_KEY]: text } });
    log.info({ identities: text.split("\n") }, "told NMI which identities are not for pods");
    return undefined;
  }

  async #find(name: string): Promise<ConfigMap | undefined> {
    try {
      return await this.#client.get(name, this.#o.namespace);
    } catch (error) {
      if (KubeError.is(error, 404)) return undefined;
      throw error;
    }
  }
}

/** A client id that a former leader learned stays until we learn of another: we may not have looked at that machine yet. */
export function noticeText(ids: ReadonlyMap<string, string | undefined>, before: string): string {
  const learned = new Map(before.split("\n").map((line) => line.split(" ", 2) as [string, string | undefined]));
  return [...ids]
    .map(([id, clientId]) => [id, clientId ?? learned.get(id)].filter((part) => part !== undefined).join(" "))
    .sort()
    .join("\n");
}
