import type { Logger } from "@podid/service";
import type { Check } from "./check.ts";

/**
 * Runs all checks at once and logs what each found, in their order. One that fails stops none of the others.
 * @returns how many failed.
 */
export async function runRound(
  checks: readonly Check[],
  log: Pick<Logger, "info" | "error">,
  signal: AbortSignal,
): Promise<number> {
  let failed = 0;
  const running = checks.map((check) => check(signal));
  for (const outcome of running) {
    const { ok, message } = await outcome;
    if (ok) log.info(message);
    else {
      failed += 1;
      log.error(message);
    }
  }
  if (failed > 0) log.error(`${failed} of ${checks.length} checks failed`);
  return failed;
}
