import type { Limit } from "./figure.ts";

/** `ratio ≤ 1.1`, and whether it was missed; empty without a limit. */
export function limitText(limit: Limit | null, met: boolean | null): string {
  if (limit === null) return "";
  const { of, most, least } = limit;
  const bound = most === undefined ? `≥ ${least}` : `≤ ${most}`;
  return `${of} ${bound}${met === true ? "" : ", MISSED"}`;
}
