import type { ArmProblem } from "@podid/azure-assigner";

/** Why an assignment does not come about. Stable: reason of conditions and of the readiness gate. */
export type FailureReason =
  | "NodeNotAttachable"
  | "RefusedByAzure"
  | "AzureThrottled"
  | "AzureForbidden"
  | "AzureUnauthenticated"
  | "AzureUnavailable"
  | "AzureInvalidRequest"
  | "MachineBusy"
  | "MachineDeleting"
  | "MachineGone";

export interface Failure {
  readonly reason: FailureReason;
  readonly message: string;
}

const REASONS: Readonly<Record<ArmProblem["kind"], FailureReason>> = {
  throttled: "AzureThrottled",
  conflict: "MachineBusy",
  updating: "MachineBusy",
  deleting: "MachineDeleting",
  gone: "MachineGone",
  "identities-refused": "RefusedByAzure",
  forbidden: "AzureForbidden",
  unauthenticated: "AzureUnauthenticated",
  invalid: "AzureInvalidRequest",
  unavailable: "AzureUnavailable",
};

/** ARM's own code and words. */
export function armFailure({ kind, code, message }: ArmProblem): Failure {
  return { reason: REASONS[kind], message: `${code}: ${message}` };
}
