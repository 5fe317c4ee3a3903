import type { AssignRequest } from "./assign-request.ts";
import type { ComputeState } from "./compute-state.ts";
import { sameLedger, settle } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import { plan } from "./plan.ts";
import { entriesWithoutClient, isBusy } from "./staleness.ts";

/**
 * Whether a machine is as its pods need it and its ledger says so, so that `Assigner.assign` would do nothing. Pure; `state` may
 * come from a list of many machines.
 */
export function isSettled(
  { desired, isProtected, skip, epoch }: Pick<AssignRequest, "desired" | "isProtected" | "skip" | "epoch">,
  ledger: Ledger,
  state: ComputeState,
  now: number,
): boolean {
  if (isBusy(state) || state.provisioningState?.toLowerCase() === "deleting") return false;
  if (!ledger.adopted || ledger.running !== undefined || ledger.epoch !== (epoch ?? ledger.epoch)) return false;
  const settled = settle(ledger, state, now);
  if (!sameLedger(settled, ledger) || entriesWithoutClient(desired(), state).length > 0) return false;
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
