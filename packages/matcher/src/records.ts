import type { AzureIdentitySpec } from "@podid/crd-types";

/** What matching needs of a pod. */
export interface PodRecord {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** `undefined` until the scheduler has placed the pod. */
  readonly nodeName: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`. */
  readonly phase: string | undefined;
  readonly hostNetwork: boolean;
  /** The pod has a deletion timestamp. It keeps its identities while it runs: workloads flush when they are told to stop. */
  readonly deleting: boolean;
  /** Milliseconds since the epoch; 0 when unknown. */
  readonly createdAt: number;
  readonly serviceAccountName: string;
  readonly podIPs: readonly string[];
  /** When the scheduler placed it, in milliseconds since the epoch and whole seconds. Only where a projection keeps it. */
  readonly scheduledAt?: number;
  /** Only on pods that declare the readiness gate `podid.dev/identity-assigned`. */
  readonly identityGate?: IdentityGate;
}

/** What the condition behind a pod's readiness gate says now. */
export interface IdentityGate {
  /** `undefined`: nobody has written the condition yet. */
  readonly status: "True" | "False" | "Unknown" | undefined;
  readonly reason: string;
  readonly message: string;
}

/** What matching needs of an AzureIdentityBinding. */
export interface BindingRecord {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  /** Name of an identity in the binding's namespace; empty when the binding names none. */
  readonly azureIdentity: string;
  /** Empty selects nothing. */
  readonly selector: string;
  /** 0 when absent; may be negative. */
  readonly weight: number;
  /** Node pools that hold the identity before any pod needs it; `["*"]` for every node. Absent: none. */
  readonly preAssign?: readonly string[];
}

/** What matching needs of an AzureIdentity. */
export interface IdentityRecord {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  /** Annotated so that only pods of its own namespace may use it. */
  readonly namespaced: boolean;
  /** Annotated so that it is never detached. */
  readonly keep: boolean;
  readonly spec: AzureIdentitySpec;
  /** `specFingerprint(spec)`. */
  readonly fingerprint: string;
  /** Lower-cased ARM id; `undefined` when there is none or it cannot be read. */
  readonly resourceKey: string | undefined;
  /** Why the identity cannot be used at all, in a sentence; such an identity is never assigned. */
  readonly problem: string | undefined;
}

/** What matching needs of an AzurePodIdentityException. */
export interface ExceptionRecord {
  readonly namespace: string;
  readonly name: string;
  readonly podLabels: Readonly<Record<string, string>>;
}

/** That a pod may use an identity, because of a binding. A pod and an identity have at most one. */
export interface Assignment {
  /** `${pod.uid}/${identity.namespace}/${identity.name}` */
  readonly key: string;
  readonly pod: PodRecord;
  readonly identity: IdentityRecord;
  /** Of several bindings that give the pod this identity, the first by namespace and name. */
  readonly binding: BindingRecord;
}
