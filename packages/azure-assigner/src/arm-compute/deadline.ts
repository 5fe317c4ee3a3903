import { ArmError } from "../arm-problem.ts";

/**
 * Runs one request with a time limit: ARM's front end has given up long before, so that a longer silence is a lost connection.
 * @throws {ArmError} `unavailable` when it took longer; the outer signal's reason when that was aborted
 */
export async function withDeadline<T>(
  milliseconds: number,
  signal: AbortSignal | undefined,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => {
    controller.abort(
      new ArmError({
        kind: "unavailable",
        status: 0,
        code: "RequestTimeout",
        message: `ARM did not answer within ${Math.round(milliseconds / 1000)} s`,
      }),
    );
  }, milliseconds);
  try {
    return await request(controller.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
