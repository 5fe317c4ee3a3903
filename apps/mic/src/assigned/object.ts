import {
  API_VERSION,
  ASSIGNED_IDENTITY_FINALIZER,
  assignedIdentityName,
  NODE_LABEL,
  nodeLabelValue,
  POD_UID_ANNOTATION,
} from "@podid/crd-types";
import type { AssignedIdentityStatus, AzureAssignedIdentity, AzureAssignedIdentitySpec } from "@podid/crd-types";
import type { Assignment } from "@podid/matcher";
import type { AssignedRecord } from "./record.ts";

/** Where upstream put every assigned identity that is not namespaced; NMI and users look there. */
export const DEFAULT_NAMESPACE = "default";

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
      ...metadataOf(assignment),
      finalizers: [ASSIGNED_IDENTITY_FINALIZER],
    },
    spec: assignedIdentitySpec(assignment),
    status: { status: "Created", availableReplicas: 1 },
  };
}

/**
 * JSON patch that makes an existing object say what the assignment says now. Spec and status are replaced as a whole: a merge
 * patch would leave in the copies what the identity does not have any more, and old spellings beside the new ones.
 */
export function rewritePatch(
  record: AssignedRecord,
  assignment: Assignment,
  status: AssignedIdentityStatus,
): readonly object[] {
  const { labels, annotations } = metadataOf(assignment);
  return [
    { op: "test", path: "/metadata/uid", value: record.uid },
    // Unlike a test, which is answered with 422, this is a conflict if it is not the stored one.
    { op: "replace", path: "/metadata/resourceVersion", value: record.resourceVersion },
    ...additions("/metadata/labels", labels, record.hasLabels),
    ...additions("/metadata/annotations", annotations, record.hasAnnotations),
    { op: "add", path: "/spec", value: assignedIdentitySpec(assignment) },
    { op: "add", path: "/status", value: { status, availableReplicas: 1 } },
  ];
}

/** What is there already stays; a map that is not there has no members to add to. */
function additions(path: string, members: Readonly<Record<string, string>>, exists: boolean): readonly object[] {
  if (!exists) return [{ op: "add", path, value: members }];
  return Object.entries(members).map(([key, value]) => ({
    op: "add",
    path: `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`,
    value,
  }));
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

function metadataOf({ pod }: Assignment): {
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
} {
  return {
    labels: { [NODE_LABEL]: nodeLabelValue(pod.nodeName ?? "") },
    annotations: { [POD_UID_ANNOTATION]: pod.uid },
  };
}
