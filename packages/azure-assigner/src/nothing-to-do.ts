import type { AssignRequest } from "./assign-request.ts";
import type { ComputeState } from "./compute-state.ts";
import { sameLedger, settle } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import { plan } from "./plan.ts";
import { entriesWithoutClient, isBusy } from "./staleness.ts";

type Facts = Pick<AssignRequest, "desired" | "isProtected" | "skip" | "epoch" | "adoptable">;

/**
 * Whether a machine is as its pods need it and its ledger says so, so that `Assigner.assign` would do nothing. Pure; `state` may
 * come from a list of many machines.
 */
export function isSettled(
  { desired, isProtected, skip, epoch, adoptable }: Facts,
  ledger: Ledger,
  state: ComputeState,
  now: number,
): boolean {
  if (isBusy(state) || state.provisioningState?.toLowerCase() === "deleting") return false;
  if (entriesWithoutClient(desired(), state).length > 0) return false;
  // A machine on which nothing was ever ours has no ledger, and needs none until there is something to take over.
  const unused = !ledger.adopted && Object.keys(ledger.entries).length === 0;
  if (unused) {
    for (const key of adoptable?.() ?? []) if (state.attached.has(key)) return false;
  } else {
    if (!ledger.adopted || ledger.running !== undefined || ledger.epoch !== (epoch ?? ledger.epoch)) return false;
    if (!sameLedger(settle(ledger, state, now), ledger)) return false;
  }
  const waiting = skip?.();
  const { requests } = plan({
    current: state,
    desired: desired(),
    ledger,
    isProtected,
    ...(waiting !== undefined && { skip: waiting }),
  });
  return requests.length === 0;
}
