/**
 * A pure function of a text, with a bounded memory: clients send the same few requests again and again. When it is
 * full it forgets everything, so that nobody can fill it for long.
 */
export function remembered<T>(
  compute: (text: string) => T,
  limits = { entries: 512, length: 2_048 },
): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const kept = known.get(text);
    if (kept !== undefined) return kept;
    const value = compute(text);
    if (text.length <= limits.length) {
      if (known.size >= limits.entries) known.clear();
      known.set(text, value);
    }
    return value;
  };
}
