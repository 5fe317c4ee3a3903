/**
 * Finds, by trials, which identities spoil a request when nobody can say it: a set that was refused is halved, and the halves are
 * tried one after the other. Holds only those still in doubt.
 */
export class Isolation {
  #sets: (readonly string[])[] = [];

  /** Everybody in doubt. */
  get suspects(): ReadonlySet<string> {
    return new Set(this.#sets.flat());
  }

  /** Nobody is in doubt. */
  get idle(): boolean {
    return this.#sets.length === 0;
  }

  /** The set to try next, less those who have to wait; undefined when there is none. */
  next(waiting: ReadonlySet<string> = new Set()): ReadonlySet<string> | undefined {
    for (const set of this.#sets) {
      const ready = set.filter((key) => !waiting.has(key));
      if (ready.length > 0) return new Set(ready);
    }
    return undefined;
  }

  /** These may be bad; they are tried together first. */
  suspect(keys: Iterable<string>): void {
    const known = this.suspects;
    const fresh = [...new Set(keys)].filter((key) => !known.has(key));
    if (fresh.length > 0) this.#sets.push(fresh);
  }

  /** Nothing is in doubt about these any more: they passed, are known to be bad, or are needed no more. */
  clear(keys: Iterable<string>): void {
    const gone = new Set(keys);
    this.#sets = this.#sets.map((set) => set.filter((key) => !gone.has(key))).filter(({ length }) => length > 0);
  }

  /** A request with exactly these was refused. @returns who is to blame, once it can be only one */
  refused(keys: readonly string[]): string | undefined {
    this.clear(keys);
    const [only] = keys;
    if (keys.length === 1) return only;
    const half = Math.ceil(keys.length / 2);
    this.#sets.unshift(...[keys.slice(0, half), keys.slice(half)].filter(({ length }) => length > 0));
    return undefined;
  }
}
