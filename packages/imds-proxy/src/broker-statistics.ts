import type { BrokerResult, CacheOutcome } from "./token-broker.ts";

/** What the broker has done since it was made. */
export interface BrokerStatistics {
  /** Tokens handed out, by how they were come by. */
  readonly tokens: Readonly<Record<CacheOutcome, number>>;
  /** Requests that got none. */
  readonly failures: number;
  /** Attempts at the sources, and how many of them were made ahead of need. */
  readonly upstream: number;
  readonly refreshes: number;
  /** Share of the handed-out tokens that cost no call: hits, joined and stale ones; 0 to 1, and 1 before the first. */
  readonly hitRatio: number;
  /** Tokens kept now. */
  readonly entries: number;
}

/** Counts; cheap enough for every cached hit. */
export class BrokerCounters {
  readonly #tokens: Record<CacheOutcome, number> = { hit: 0, miss: 0, joined: 0, stale: 0, bypass: 0, off: 0 };
  #failures = 0;
  upstream = 0;
  refreshes = 0;

  counted(result: BrokerResult): BrokerResult {
    if (result.kind === "token") this.#tokens[result.cache]++;
    else this.#failures++;
    return result;
  }

  statistics(entries: number): BrokerStatistics {
    const tokens = { ...this.#tokens };
    const all = Object.values(tokens).reduce((sum, count) => sum + count, 0);
    const free = tokens.hit + tokens.joined + tokens.stale;
    const { upstream, refreshes } = this;
    return { tokens, failures: this.#failures, upstream, refreshes, hitRatio: all === 0 ? 1 : free / all, entries };
  }
}
