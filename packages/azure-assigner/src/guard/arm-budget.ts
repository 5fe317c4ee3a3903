import type { NodeGroup } from "@podid/crd-types";
import { elapsedMs, sleep } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { BucketLimit } from "./token-bucket.ts";

/** What podid allows itself of ARM. */
export interface BudgetLimits {
  /** GETs of machines and identities and polls of operations, per subscription. */
  readonly subscriptionReads: BucketLimit;
  /** PATCHes per subscription. */
  readonly subscriptionWrites: BucketLimit;
  /** PATCHes per VM or scale set. */
  readonly groupWrites: BucketLimit;
}

/**
 * ARM's own buckets hold 250 reads and gain 25 a second, and 200 writes and gain 10, per subscription and principal; the compute
 * provider allows 12 updates of one machine in a burst and 4 a minute, and 500 a minute per subscription, which is the
 * narrower limit for writes.
 */
export const DEFAULT_BUDGET: BudgetLimits = {
  subscriptionReads: { burst: 250, perSecond: 25 },
  subscriptionWrites: { burst: 200, perSecond: 8 },
  groupWrites: { burst: 12, perSecond: 4 / 60 },
};

/** Keeps requests within ARM's limits before ARM has to. Those who wait are served in their order. */
export class ArmBudget {
  readonly #limits: BudgetLimits;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(limits: Partial<BudgetLimits>, clock: Clock) {
    this.#limits = { ...DEFAULT_BUDGET, ...limits };
    this.#clock = clock;
  }

  /** Resolves when a read of that subscription may go; rejects with the signal's reason. */
  async read(subscriptionId: string, signal?: AbortSignal): Promise<void> {
    await this.#take(`read ${subscriptionId.toLowerCase()}`, this.#limits.subscriptionReads, 0, signal);
  }

  /** Resolves when a PATCH of that group may go. @param spare PATCHes of the group to leave to others */
  async write(group: NodeGroup, spare: number, signal?: AbortSignal): Promise<void> {
    const own = `group ${group.key}`;
    await this.#take(own, this.#limits.groupWrites, spare, signal);
    try {
      await this.#take(`write ${group.subscriptionId.toLowerCase()}`, this.#limits.subscriptionWrites, 0, signal);
    } catch (error) {
      this.#buckets.get(own)?.refund(elapsedMs(this.#clock));
      throw error;
    }
  }

  /** How long a PATCH of that group would have to wait for its own bucket. */
  writeDelayMs(group: NodeGroup, spare: number): number {
    const { groupWrites } = this.#limits;
    return (
      this.#buckets.get(`group ${group.key}`)?.waitMs(elapsedMs(this.#clock), Math.min(spare, groupWrites.burst - 1)) ??
      0
    );
  }

  /** A PATCH that was granted is not sent after all. */
  refund(group: NodeGroup): void {
    const now = elapsedMs(this.#clock);
    this.#buckets.get(`group ${group.key}`)?.refund(now);
    this.#buckets.get(`write ${group.subscriptionId.toLowerCase()}`)?.refund(now);
  }

  /** The emptiest bucket of each kind as a share of its burst; below zero: so many bursts wait. */
  levels(): Readonly<Record<"read" | "write" | "group", number>> {
    const now = elapsedMs(this.#clock);
    const levels = { read: 1, write: 1, group: 1 };
    const bursts = {
      read: this.#limits.subscriptionReads.burst,
      write: this.#limits.subscriptionWrites.burst,
      group: this.#limits.groupWrites.burst,
    };
    for (const [name, bucket] of this.#buckets) {
      const kind = name.slice(0, name.indexOf(" ")) as keyof typeof levels;
      const level = bucket.level(now) / bursts[kind];
      levels[kind] = Math.min(levels[kind], level);
      // A full bucket is as good as a new one; machines come and go.
      if (kind === "group" && level >= 1) this.#buckets.delete(name);
    }
    return levels;
  }

  async #take(name: string, limit: BucketLimit, spare: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const now = elapsedMs(this.#clock);
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) this.#buckets.set(name, (bucket = new TokenBucket(limit, now)));
    const waitMs = bucket.reserve(now, Math.min(spare, limit.burst - 1));
    if (waitMs === 0) return;
    try {
      await sleep(this.#clock, waitMs, signal);
    } catch (error) {
      bucket.refund(elapsedMs(this.#clock));
      throw error;
    }
  }
}
