import type { Clock } from "./clock.ts";

/** How often one pod may make the broker ask a source: what it asks for is its own choice, and each resource is another token. */
export interface PodAllowanceOptions {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** At once, after a quiet time. */
  readonly burst: number;
  readonly perSecond: number;
}

/** A token bucket per pod. */
export class PodAllowance {
  readonly #options: PodAllowanceOptions;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(options: PodAllowanceOptions) {
    this.#options = options;
  }

  /** @returns false when the pod has used up its share */
  take(podUid: string): boolean {
    const { burst, perSecond, clock } = this.#options;
    const now = clock.monotonicMs();
    const bucket = this.#buckets.get(podUid) ?? { left: burst, at: now };
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) * perSecond) / 1000);
    bucket.at = now;
    this.#buckets.set(podUid, bucket);
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }

  forget(podUid: string): void {
    this.#buckets.delete(podUid);
  }
}
