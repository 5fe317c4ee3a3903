const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h)/y;

/**
 * Milliseconds of a duration in Go's notation (`15s`, `1h30m`, `500ms`, `0`); undefined when it is none.
 * Source: https://pkg.go.dev/time#ParseDuration. Negative durations are not accepted: no flag of podid means anything by one.
 */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  let total = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < text.length) {
    const part = PART.exec(text);
    if (part === null) return undefined;
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ""] ?? Number.NaN);
  }
  return text === "" ? undefined : total;
}

/** The shortest Go notation of a whole number of milliseconds: 900000 → `15m`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return "0s";
  const parts: string[] = [];
  let rest = milliseconds;
  for (const unit of ["h", "m", "s", "ms"] as const) {
    const size = UNIT_MS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * size;
  }
  return parts.join("");
}
