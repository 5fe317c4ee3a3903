/** Why a pod does not get, or may not use, an identity. Stable: used as a metric label. */
export type DenialReason =
  | "pod-unknown"
  | "pod-not-labelled"
  | "pod-not-scheduled"
  | "pod-finished"
  | "pod-host-network"
  | "no-binding"
  | "identity-missing"
  | "identity-invalid"
  | "other-namespace"
  | "service-account-not-allowed"
  | "duplicate-identity-name"
  | "no-candidate"
  | "identity-not-bound"
  | "object-id-unknown"
  | "ambiguous-request";

/** Why not, for a program and for its operator. */
export interface Denial {
  readonly reason: DenialReason;
  readonly message: string;
}
