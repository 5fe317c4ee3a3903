import type { ArmProblem } from "./arm-problem.ts";
import type { AttachedIdentity, ComputeState, IdentityRef } from "./compute-state.ts";

/** Whether ARM works on the machine, so that what it shows may be incomplete. */
export function isBusy({ provisioningState }: ComputeState): boolean {
  return /^(creating|updating)$/i.test(provisioningState ?? "");
}

/**
 * Needed identities whose entry has no client id: while an operation runs that means nothing; otherwise the identity was deleted,
 * perhaps made again since, and the entry serves no tokens until it is removed and added again.
 */
export function entriesWithoutClient(desired: Iterable<IdentityRef>, state: ComputeState): readonly AttachedIdentity[] {
  if (isBusy(state)) return [];
  return [...desired].flatMap(({ key }) => {
    const attached = state.attached.get(key);
    return attached !== undefined && attached.clientId === undefined ? [attached] : [];
  });
}

/** It is attached and dead, and stays so for now. */
export function withoutClientProblem({ key, id }: AttachedIdentity, whose: "ours" | "others"): ArmProblem {
  const fix =
    whose === "ours"
      ? "it is detached and attached again with growing pauses"
      : "podid did not attach it, or must keep it, so detach it by hand";
  return {
    kind: "identities-refused",
    status: 200,
    code: "IdentityWithoutClientId",
    message: `${id} is attached but has no client id: the identity was deleted, and perhaps made again, since; ${fix}`,
    identities: [key],
  };
}

/** ARM refused it together with others, and the next trial has to wait for the machine's budget. */
export function onTrialProblem(
  { key, id }: IdentityRef,
  retryAfterMs: number,
): ArmProblem & { readonly retryAfterMs: number } {
  return {
    kind: "identities-refused",
    status: 0,
    code: "IdentityOnTrial",
    message: `ARM refused ${id} together with others without telling which one is to blame; it is tried apart as soon as the machine's write budget has room`,
    identities: [key],
    retryAfterMs,
  };
}

/** The identity provider does not know it. */
export function notFoundProblem({ key, id }: IdentityRef): ArmProblem {
  return {
    kind: "identities-refused",
    status: 404,
    code: "IdentityNotFound",
    message: `Resource '${id}' was not found: create the identity, or correct spec.resourceID`,
    identities: [key],
  };
}
