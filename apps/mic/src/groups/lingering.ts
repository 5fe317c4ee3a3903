/**
 * Identities that nobody needs any more stay attached for a while (`--detach-delay`), so that CronJobs do not have theirs attached
 * and detached all day. Kept in memory only: a new leader lets the delay begin anew, which keeps an identity longer, never shorter.
 */
export class Lingering {
  readonly #delay: () => number;
  readonly #now: () => number;
  /** By group and key: since when nobody needs it. */
  readonly #since = new Map<string, Map<string, number>>();

  constructor(options: { readonly delayMs: () => number; readonly now: () => number }) {
    this.#delay = options.delayMs;
    this.#now = options.now;
  }

  get #delayMs(): number {
    return this.#delay();
  }

  get isOn(): boolean {
    return this.#delayMs > 0;
  }

  /**
   * Which of a group's unneeded identities stay for now.
   *
   * @param owned ours on that group, or what might be while nobody has looked yet
   * @param isGiven whether an AzureIdentity still stands for it: what nobody gives any more goes at once
   */
  held(
    groupKey: string,
    owned: Iterable<string>,
    needed: ReadonlySet<string | undefined>,
    isGiven: (key: string) => boolean,
  ): ReadonlySet<string> {
    const held = new Set<string>();
    if (this.#delayMs <= 0) return held;
    const before = this.#since.get(groupKey);
    const since = new Map<string, number>();
    for (const key of owned) {
      if (needed.has(key) || !isGiven(key)) continue;
      const start = before?.get(key) ?? this.#now();
      since.set(key, start);
      if (this.#now() < start + this.#delayMs) held.add(key);
    }
    if (since.size > 0) this.#since.set(groupKey, since);
    else this.#since.delete(groupKey);
    return held;
  }

  /** Groups where something waits that meets the condition. */
  groupsWith(condition: (key: string) => boolean): string[] {
    return [...this.#since].filter(([, keys]) => [...keys.keys()].some(condition)).map(([groupKey]) => groupKey);
  }

  /** When the first of a group's identities has waited long enough, in milliseconds from now; undefined when none waits. */
  nextMs(groupKey: string): number | undefined {
    const left = [...(this.#since.get(groupKey)?.values() ?? [])]
      .map((start) => start + this.#delayMs - this.#now())
      .filter((ms) => ms > 0);
    return left.length === 0 ? undefined : Math.min(...left);
  }
}
