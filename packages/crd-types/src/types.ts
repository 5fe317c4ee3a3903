import type { API_VERSION, ASSIGNED_IDENTITY_STATUSES, IDENTITY_TYPE } from "./constants.ts";

/** The part of Kubernetes' ObjectMeta that podid reads or writes. Times are RFC 3339. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
}

export type IdentityType = (typeof IDENTITY_TYPE)[keyof typeof IDENTITY_TYPE];
export type AssignedIdentityStatus = (typeof ASSIGNED_IDENTITY_STATUSES)[number];

/** Reference to a Secret; upstream's corev1.SecretReference. */
export interface SecretReference {
  name?: string;
  namespace?: string;
}

/** A condition as in metav1.Condition. */
export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason: string;
  message: string;
  /** RFC 3339. */
  lastTransitionTime: string;
  observedGeneration?: number;
}

export interface AzureIdentitySpec {
  /** 0 user-assigned managed identity (also when absent), 1 client secret, 2 certificate, 3 federated credential. */
  type?: IdentityType;
  /** ARM id of the user-assigned managed identity; needed for type 0. */
  resourceID?: string;
  clientID?: string;
  clientPassword?: SecretReference;
  tenantID?: string;
  auxiliaryTenantIDs?: string[] | null;
  adResourceID?: string;
  adEndpoint?: string;
  replicas?: number | null;
  metadata?: Record<string, unknown>;
  /** Names of the ServiceAccounts of the pod's namespace that may use the identity; absent or empty: any. */
  serviceAccounts?: string[];
}

export interface AzureIdentityStatus {
  availableReplicas?: number;
  metadata?: Record<string, unknown>;
  conditions?: Condition[];
  /** Pods matched, assigned and failed. */
  matched?: number;
  assigned?: number;
  failed?: number;
}

export interface AzureIdentity {
  apiVersion?: typeof API_VERSION;
  kind?: "AzureIdentity";
  metadata: ObjectMeta;
  spec: AzureIdentitySpec;
  status?: AzureIdentityStatus;
}

export interface AzureIdentityBindingSpec {
  /** Name of an AzureIdentity in the binding's own namespace. */
  azureIdentity?: string;
  /** Compared exactly with the value of the pod label `aadpodidbinding`. */
  selector?: string;
  /** Among several identities of a pod the binding with the highest weight is the default; absent is 0. */
  weight?: number;
  metadata?: Record<string, unknown>;
}

export interface AzureIdentityBindingStatus {
  availableReplicas?: number;
  metadata?: Record<string, unknown>;
  conditions?: Condition[];
  matched?: number;
  assigned?: number;
  failed?: number;
}

export interface AzureIdentityBinding {
  apiVersion?: typeof API_VERSION;
  kind?: "AzureIdentityBinding";
  metadata: ObjectMeta;
  spec: AzureIdentityBindingSpec;
  status?: AzureIdentityBindingStatus;
}

export interface AzureAssignedIdentitySpec {
  /** Copy of the identity as it was matched; podid keeps name, namespace, uid, resourceVersion and spec of it. */
  azureIdentityRef?: AzureIdentity | null;
  azureBindingRef?: AzureIdentityBinding | null;
  pod?: string;
  podNamespace?: string;
  nodename?: string;
  replicas?: number | null;
  metadata?: Record<string, unknown>;
}

export interface AzureAssignedIdentity {
  apiVersion?: typeof API_VERSION;
  kind?: "AzureAssignedIdentity";
  metadata: ObjectMeta;
  spec: AzureAssignedIdentitySpec;
  status?: { status?: AssignedIdentityStatus; availableReplicas?: number; metadata?: Record<string, unknown> };
}

export interface AzurePodIdentityException {
  apiVersion?: typeof API_VERSION;
  kind?: "AzurePodIdentityException";
  metadata: ObjectMeta;
  /** A pod of the same namespace that carries any one of these labels talks to IMDS as itself. */
  spec: { podLabels?: Record<string, string>; metadata?: Record<string, unknown> };
  status?: { status?: string; metadata?: Record<string, unknown> };
}
