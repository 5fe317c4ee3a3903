import {
  ASSIGNED_IDENTITY_FINALIZER,
  parseIdentityResourceId,
  POD_UID_ANNOTATION,
  SPEC_DIGEST_ANNOTATION,
  specFingerprint,
  upgradeLegacyObject,
} from "@podid/crd-types";
import type { AssignedIdentityStatus, AzureAssignedIdentity, AzureIdentitySpec } from "@podid/crd-types";
import { isAttachable } from "./is-attachable.ts";

/** What the controller needs of an AzureAssignedIdentity. */
export interface AssignedRecord {
  /** `namespace/name` */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Milliseconds since the epoch; 0 when unknown. */
  readonly createdAt: number;
  readonly deleting: boolean;
  readonly finalizers: readonly string[];
  readonly hasLabels: boolean;
  readonly hasAnnotations: boolean;
  /** Absent on what upstream made. */
  readonly podUid: string | undefined;
  readonly podNamespace: string;
  readonly podName: string;
  readonly nodeName: string;
  readonly identity: ReferenceRecord;
  readonly identityFingerprint: string;
  /** Digest of the fingerprint of the identity that the copy was made from; absent on what upstream made. */
  readonly specDigest: string | undefined;
  /** Type 0: what has to be attached to the node. */
  readonly resourceKey: string | undefined;
  readonly resourceId: string | undefined;
  readonly binding: ReferenceRecord;
  readonly status: AssignedIdentityStatus;
}

export interface ReferenceRecord {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
}

/** From an API object; undefined when it has neither name nor namespace. */
export function assignedRecord(object: unknown): AssignedRecord | undefined {
  const upgraded = upgradeLegacyObject("AzureAssignedIdentity", object as Record<string, unknown>)
    .object as unknown as Partial<AzureAssignedIdentity>;
  const { metadata, spec, status } = upgraded;
  if (!metadata?.name || !metadata.namespace) return undefined;
  const identitySpec: AzureIdentitySpec = spec?.azureIdentityRef?.spec ?? {};
  const resource = isAttachable(identitySpec) ? parseIdentityResourceId(identitySpec.resourceID ?? "") : undefined;
  return {
    key: `${metadata.namespace}/${metadata.name}`,
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid ?? "",
    resourceVersion: metadata.resourceVersion ?? "",
    createdAt: Date.parse(metadata.creationTimestamp ?? "") || 0,
    deleting: metadata.deletionTimestamp !== undefined,
    finalizers: metadata.finalizers ?? [],
    hasLabels: metadata.labels !== undefined,
    hasAnnotations: metadata.annotations !== undefined,
    podUid: metadata.annotations?.[POD_UID_ANNOTATION],
    podNamespace: spec?.podNamespace ?? "",
    podName: spec?.pod ?? "",
    nodeName: spec?.nodename ?? "",
    identity: reference(spec?.azureIdentityRef?.metadata),
    identityFingerprint: specFingerprint(identitySpec),
    specDigest: metadata.annotations?.[SPEC_DIGEST_ANNOTATION],
    resourceKey: resource?.ok === true ? resource.value.key : undefined,
    resourceId: resource?.ok === true ? resource.value.id : undefined,
    binding: reference(spec?.azureBindingRef?.metadata),
    status: status?.status ?? "",
  };
}

/** Whether MIC of upstream or podid put its finalizer on it. */
export function hasFinalizer(record: AssignedRecord): boolean {
  return record.finalizers.includes(ASSIGNED_IDENTITY_FINALIZER);
}

function reference(metadata: { namespace?: string; name?: string; uid?: string } | undefined): ReferenceRecord {
  return { namespace: metadata?.namespace ?? "", name: metadata?.name ?? "", uid: metadata?.uid };
}
