import type { Denial, DenialReason, IdentityGate } from "@podid/matcher";
import type { Standing } from "../groups/bookkeeping.ts";

/** What the condition behind a pod's readiness gate should say. */
export interface GateVerdict {
  readonly status: "True" | "False";
  /** Stable; listed in docs/status-and-events.md. */
  readonly reason: string;
  readonly message: string;
}

/** Why a pod is given nothing; absent: nothing to say, because it does not run. */
const DENIALS: Partial<Readonly<Record<DenialReason, string>>> = {
  "pod-not-labelled": "NotLabelled",
  "pod-host-network": "HostNetwork",
  "no-binding": "NoBinding",
  "identity-missing": "AzureIdentityMissing",
  "identity-invalid": "InvalidIdentity",
  "other-namespace": "OtherNamespace",
  "service-account-not-allowed": "ServiceAccountNotAllowed",
  "duplicate-identity-name": "DuplicateIdentityName",
};

/**
 * True when every identity that the pod is given is assigned. A pod that is given none is not ready: it declared the gate because
 * it needs one.
 *
 * @returns undefined where nothing needs to be said
 */
export function gateVerdict(
  standings: readonly Pick<Standing, "state" | "failure">[],
  denial: Denial | undefined,
): GateVerdict | undefined {
  if (standings.length === 0) {
    const reason = denial && DENIALS[denial.reason];
    return reason === undefined ? undefined : { status: "False", reason, message: denial?.message ?? "" };
  }
  const assigned = standings.filter(({ state }) => state === "assigned").length;
  if (assigned === standings.length) {
    return { status: "True", reason: "Assigned", message: `${assigned} of ${assigned} identities are assigned` };
  }
  const failure = standings.find(({ state }) => state === "failed")?.failure;
  const progress = `${assigned} of ${standings.length} identities are assigned`;
  if (failure === undefined) return { status: "False", reason: "Assigning", message: progress };
  return { status: "False", reason: failure.reason, message: `${progress}: ${failure.message}` };
}

/** Whether the condition says it already. */
export function saysGate(gate: IdentityGate, { status, reason, message }: GateVerdict): boolean {
  return gate.status === status && gate.reason === reason && gate.message === message;
}
