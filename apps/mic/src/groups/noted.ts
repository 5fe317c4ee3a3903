import type { AssignOutcome } from "@podid/azure-assigner";
import { backoffMs } from "./observation.ts";
import type { Observation, Refusal } from "./observation.ts";

/**
 * What is known of a group after a look at it. An identity that ARM refuses waits longer with each time, and its time is counted
 * per group: on another one it may be welcome.
 * @param ended the look is over; otherwise more of the same look may follow
 */
export function noted(
  before: Observation,
  outcome: AssignOutcome,
  now: number,
  ended: boolean,
): Pick<Observation, "seenAt" | "attached" | "owned" | "refused"> {
  const attached = outcome.state?.attached ?? before.attached;
  const refused = new Map<string, Refusal>();
  const tried = ended && outcome.kind === "converged";
  for (const [key, refusal] of before.refused) {
    if (attached.get(key)?.clientId !== undefined) continue;
    if (now < refusal.until || !tried) refused.set(key, refusal);
  }
  for (const [key, problem] of outcome.refused) {
    const known = before.refused.get(key);
    // Told of in the middle of the same look already.
    if (known !== undefined && now < known.until && known.problem.code !== "IdentityOnTrial") continue;
    const attempts = (known?.attempts ?? 0) + 1;
    refused.set(key, { problem, attempts, until: now + Math.max(problem.retryAfterMs ?? 0, backoffMs(attempts)) });
  }
  for (const [key, problem] of outcome.deferred) {
    const attempts = before.refused.get(key)?.attempts ?? 0;
    refused.set(key, { problem, attempts, until: now + problem.retryAfterMs });
  }
  return {
    seenAt: outcome.state === undefined ? before.seenAt : now,
    attached,
    owned: outcome.state === undefined ? before.owned : outcome.owned,
    refused,
  };
}
