import { ASSIGNED_IDENTITY_STATUSES, POD_UID_ANNOTATION } from "@podid/crd-types";
import type { AssignedIdentityStatus } from "@podid/crd-types";
import type { KubeObject } from "@podid/kube";
import { identityRecord } from "@podid/matcher";

/** What NMI needs of an AzureAssignedIdentity. It is a hint that something is attached, never a grant. */
export interface AssignedRecord {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly podNamespace: string;
  readonly podName: string;
  /** Absent on objects that upstream's MIC made. */
  readonly podUid: string | undefined;
  readonly nodeName: string;
  /** Milliseconds since the epoch; 0 unknown. */
  readonly createdAt: number;
  readonly deleting: boolean;
  readonly status: AssignedIdentityStatus;
  readonly identity: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly fingerprint: string;
  };
}

interface RawSpec {
  readonly pod?: unknown;
  readonly podNamespace?: unknown;
  readonly nodename?: unknown;
  readonly azureIdentityRef?: unknown;
}

export function assignedRecord(object: KubeObject): AssignedRecord | undefined {
  const spec = (object["spec"] ?? {}) as RawSpec;
  const identity = identityRecord(spec.azureIdentityRef);
  const { metadata } = object;
  if (identity === undefined || typeof spec.pod !== "string" || typeof spec.podNamespace !== "string") return undefined;
  const created = Date.parse(metadata.creationTimestamp ?? "");
  const status = (object["status"] as { status?: unknown } | undefined)?.status ?? "";
  return {
    uid: metadata.uid ?? "",
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    podNamespace: spec.podNamespace,
    podName: spec.pod,
    podUid: metadata.annotations?.[POD_UID_ANNOTATION],
    nodeName: typeof spec.nodename === "string" ? spec.nodename : "",
    createdAt: Number.isNaN(created) ? 0 : created,
    deleting: metadata.deletionTimestamp !== undefined,
    // A status that nobody knows is no reason to believe that something is attached.
    status: ASSIGNED_IDENTITY_STATUSES.find((known) => known === status) ?? "Created",
    identity: {
      namespace: identity.namespace,
      name: identity.name,
      uid: identity.uid,
      fingerprint: identity.fingerprint,
    },
  };
}
