import {
  ASSIGNED_IDENTITY_FINALIZER,
  parseIdentityResourceId,
  POD_UID_ANNOTATION,
  SPEC_DIGEST_ANNOTATION,
  specFingerprint,
  upgradeLegacyObject,
} from "@podid/crd-types";
import type { AssignedIdentityStatus, AzureAssignedIdentity, AzureIdentitySpec } from "@podid/crd-types";
import { createPool } from "@podid/matcher";
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

/** What all objects of one identity have in common. */
type OfIdentity = Pick<AssignedRecord, "identity" | "identityFingerprint" | "resourceKey" | "resourceId">;

export type AssignedProjector = (object: unknown) => AssignedRecord | undefined;

/**
 * Reads API objects; undefined for one that has neither name nor namespace. What many objects have in common (identity, binding, node,
 * namespaces, finalizers) is held once by all records of one projector: a fingerprint alone has 300 characters.
 */
export function createAssignedProjector(): AssignedProjector {
  const texts = createPool<string>();
  const text = <T extends string | undefined>(value: T): T =>
    (value === undefined ? value : texts(value, () => value)) as T;
  const ofIdentities = createPool<OfIdentity>();
  const references = createPool<ReferenceRecord>();
  const lists = createPool<readonly string[]>();
  return (object) => {
    const upgraded = upgradeLegacyObject("AzureAssignedIdentity", object as Record<string, unknown>)
      .object as unknown as Partial<AzureAssignedIdentity>;
    const { metadata, spec, status } = upgraded;
    if (!metadata?.name || !metadata.namespace) return undefined;
    const { finalizers = [], annotations } = metadata;
    const { azureIdentityRef, azureBindingRef } = spec ?? {};
    const common = ofIdentities(JSON.stringify([azureIdentityRef?.spec, reference(azureIdentityRef?.metadata)]), () =>
      ofIdentity(azureIdentityRef),
    );
    const binding = reference(azureBindingRef?.metadata);
    return {
      key: `${metadata.namespace}/${metadata.name}`,
      namespace: text(metadata.namespace),
      name: metadata.name,
      uid: metadata.uid ?? "",
      resourceVersion: metadata.resourceVersion ?? "",
      createdAt: Date.parse(metadata.creationTimestamp ?? "") || 0,
      deleting: metadata.deletionTimestamp !== undefined,
      finalizers: lists(JSON.stringify(finalizers), () => finalizers),
      hasLabels: metadata.labels !== undefined,
      hasAnnotations: annotations !== undefined,
      podUid: annotations?.[POD_UID_ANNOTATION],
      podNamespace: text(spec?.podNamespace ?? ""),
      podName: spec?.pod ?? "",
      nodeName: text(spec?.nodename ?? ""),
      identity: common.identity,
      identityFingerprint: common.identityFingerprint,
      specDigest: text(annotations?.[SPEC_DIGEST_ANNOTATION]),
      resourceKey: common.resourceKey,
      resourceId: common.resourceId,
      binding: references(JSON.stringify(binding), () => binding),
      status: text(status?.status ?? ""),
    };
  };
}

/** A single API object. */
export function assignedRecord(object: unknown): AssignedRecord | undefined {
  return createAssignedProjector()(object);
}

function ofIdentity(copy: NonNullable<AzureAssignedIdentity["spec"]>["azureIdentityRef"]): OfIdentity {
  const spec: AzureIdentitySpec = copy?.spec ?? {};
  const resource = isAttachable(spec) ? parseIdentityResourceId(spec.resourceID ?? "") : undefined;
  return {
    identity: reference(copy?.metadata),
    identityFingerprint: specFingerprint(spec),
    resourceKey: resource?.ok === true ? resource.value.key : undefined,
    resourceId: resource?.ok === true ? resource.value.id : undefined,
  };
}

/** Whether MIC of upstream or podid put its finalizer on it. */
export function hasFinalizer(record: AssignedRecord): boolean {
  return record.finalizers.includes(ASSIGNED_IDENTITY_FINALIZER);
}

function reference(metadata: { namespace?: string; name?: string; uid?: string } | undefined): ReferenceRecord {
  return { namespace: metadata?.namespace ?? "", name: metadata?.name ?? "", uid: metadata?.uid };
}
