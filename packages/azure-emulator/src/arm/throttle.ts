import type { BucketLimit } from "../state/settings.ts";

/** Token buckets by name, made when first used. */
export class Throttle {
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  readonly #windows = new Map<string, { readonly start: number; count: number }>();

  /** Takes one token. `remaining` is what is left; a refusal says after how many whole seconds to come back. */
  take(
    name: string,
    limit: BucketLimit | undefined,
    now: number,
  ): { readonly ok: boolean; readonly remaining: number; readonly retryAfterS: number } {
    if (limit === undefined) return { ok: true, remaining: 0, retryAfterS: 0 };
    const bucket = this.#buckets.get(name) ?? { tokens: limit.burst, at: now };
    const tokens = Math.min(limit.burst, bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * limit.perSecond);
    const ok = tokens >= 1;
    this.#buckets.set(name, { tokens: ok ? tokens - 1 : tokens, at: now });
    return {
      ok,
      remaining: Math.floor(ok ? tokens - 1 : tokens),
      retryAfterS: Math.max(1, Math.ceil((1 - tokens) / limit.perSecond)),
    };
  }

  /** Counts a request and says how many of `allowed` are left in the present window. Nothing is refused by it. */
  remaining(name: string, allowed: number, windowMs: number, now: number): number {
    const window = this.#windows.get(name);
    const current = window !== undefined && now < window.start + windowMs ? window : { start: now, count: 0 };
    current.count += 1;
    this.#windows.set(name, current);
    return Math.max(0, allowed - current.count);
  }
}
