/**
 * Milliseconds that a Retry-After header asks for: whole seconds or an HTTP date; undefined for anything else, for zero and for the past.
 */
export function parseRetryAfter(header: string | null | undefined, now: number): number | undefined {
  const text = header?.trim() ?? "";
  const milliseconds = /^\d+$/.test(text) ? Number(text) * 1000 : RFC_1123.test(text) ? Date.parse(text) - now : 0;
  return milliseconds > 0 ? milliseconds : undefined;
}

/** RFC 9110 §5.6.7, the preferred form; upstream knew no other either. */
const RFC_1123 = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
