/** A bucket holds `burst` tokens and gains `perSecond`. */
export interface BucketLimit {
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * Tokens for requests. {@link reserve} may run into debt: whoever comes next waits until the debts before are paid, so that
 * those who wait are served in their order without a queue. Times are milliseconds of any one clock.
 */
export class TokenBucket {
  readonly #limit: BucketLimit;
  #tokens: number;
  #at: number;

  constructor(limit: BucketLimit, now: number) {
    this.#limit = limit;
    this.#tokens = limit.burst;
    this.#at = now;
  }

  /** Tokens at hand; negative while requests wait. */
  level(now: number): number {
    this.#refill(now);
    return this.#tokens;
  }

  /** How long {@link reserve} would say to wait. */
  waitMs(now: number, spare = 0): number {
    return this.#waitMs(this.level(now) - 1, spare);
  }

  /** Takes a token and says how long to wait before using it; at least `spare` tokens are at hand for others by then. */
  reserve(now: number, spare = 0): number {
    this.#refill(now);
    this.#tokens -= 1;
    return this.#waitMs(this.#tokens, spare);
  }

  #waitMs(left: number, spare: number): number {
    return Math.max(0, Math.ceil(((spare - left) / this.#limit.perSecond) * 1000));
  }

  /** Gives back a token that was not used. */
  refund(now: number): void {
    this.#refill(now);
    this.#tokens = Math.min(this.#limit.burst, this.#tokens + 1);
  }

  #refill(now: number): void {
    const seconds = Math.max(0, now - this.#at) / 1000;
    this.#at = Math.max(this.#at, now);
    this.#tokens = Math.min(this.#limit.burst, this.#tokens + seconds * this.#limit.perSecond);
  }
}
