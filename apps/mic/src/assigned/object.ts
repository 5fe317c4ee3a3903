import {
  API_VERSION,
  ASSIGNED_IDENTITY_FINALIZER,
  assignedIdentityName,
  NODE_LABEL,
  nodeLabelValue,
  POD_UID_ANNOTATION,
  SPEC_DIGEST_ANNOTATION,
  specDigest,
} from "@podid/crd-types";
import type { AssignedIdentityStatus, AzureAssignedIdentity, AzureAssignedIdentitySpec } from "@podid/crd-types";
import type { Assignment } from "@podid/matcher";

/** Where upstream put every assigned identity that is not namespaced; NMI and users look there. */
const DEFAULT_NAMESPACE = "default";

/** Namespace of the assigned identity of an assignment. */
export function namespaceOf({ identity }: Assignment, forceNamespaced: boolean): string {
  return forceNamespaced || identity.namespaced ? identity.namespace : DEFAULT_NAMESPACE;
}

/** A new object in status Created. Its copies of identity and binding hold only what NMI reads, because every change of it goes to every watcher. */
export function assignedIdentityObject(
  assignment: Assignment,
  namespace: string,
  isTaken: (name: string) => boolean,
): AzureAssignedIdentity {
  const { pod, identity } = assignment;
  const name = assignedIdentityName(
    {
      podName: pod.name,
      podNamespace: pod.namespace,
      podUid: pod.uid,
      identityNamespace: identity.namespace,
      identityName: identity.name,
    },
    isTaken,
  );
  return {
    apiVersion: API_VERSION,
    kind: "AzureAssignedIdentity",
    metadata: {
      name,
      namespace,
      ...assignedIdentityMarks(assignment),
      finalizers: [ASSIGNED_IDENTITY_FINALIZER],
    },
    spec: assignedIdentitySpec(assignment),
    status: assignedIdentityStatus("Created"),
  };
}

export function assignedIdentityStatus(status: AssignedIdentityStatus): NonNullable<AzureAssignedIdentity["status"]> {
  return { status, availableReplicas: 1 };
}

export function assignedIdentitySpec({ pod, identity, binding }: Assignment): AzureAssignedIdentitySpec {
  const { uid, resourceVersion, namespace, name } = identity;
  return {
    azureIdentityRef: {
      apiVersion: API_VERSION,
      kind: "AzureIdentity",
      metadata: { name, namespace, uid, resourceVersion },
      spec: identity.spec,
    },
    azureBindingRef: {
      apiVersion: API_VERSION,
      kind: "AzureIdentityBinding",
      metadata: {
        name: binding.name,
        namespace: binding.namespace,
        uid: binding.uid,
        resourceVersion: binding.resourceVersion,
      },
      spec: {
        azureIdentity: binding.azureIdentity,
        selector: binding.selector,
        ...(binding.weight !== 0 && { weight: binding.weight }),
      },
    },
    pod: pod.name,
    podNamespace: pod.namespace,
    nodename: pod.nodeName ?? "",
  };
}

/** Where it runs, for which pod of that name, and what its copy of the identity was made from. */
export function assignedIdentityMarks({ pod, identity }: Assignment): {
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
} {
  return {
    labels: { [NODE_LABEL]: nodeLabelValue(pod.nodeName ?? "") },
    annotations: {
      [POD_UID_ANNOTATION]: pod.uid,
      [SPEC_DIGEST_ANNOTATION]: specDigest(identity.fingerprint),
    },
  };
}
