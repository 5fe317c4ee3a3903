const MOST_POOLED = 20_000;

/**
 * Gives what was made for equal keys back as one, so that many records hold what they have in common once. Label values of
 * Deployments never end, so a pool forgets everything when it is full: that costs sharing, not correctness.
 */
export function createPool<T>(): (key: string, make: () => T) => T {
  const known = new Map<string, T>();
  return (key, make) => {
    const same = known.get(key);
    if (same !== undefined) return same;
    if (known.size >= MOST_POOLED) known.clear();
    const made = make();
    known.set(key, made);
    return made;
  };
}
