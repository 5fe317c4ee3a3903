import { withoutFinalizer } from "@podid/crd-types";
import type { AssignedIdentityStatus } from "@podid/crd-types";
import type { Patch } from "@podid/kube";
import type { Assignment } from "@podid/matcher";
import { assignedIdentityMarks, assignedIdentitySpec, assignedIdentityStatus } from "./object.ts";
import type { AssignedRecord } from "./record.ts";

/** All of these apply only if the object is still the very one that was looked at. */
export type PatchBody = Pick<Patch, "type" | "body">;

export function statusPatch({ uid, resourceVersion }: AssignedRecord, status: AssignedIdentityStatus): PatchBody {
  return { type: "merge", body: { metadata: { uid, resourceVersion }, status: assignedIdentityStatus(status) } };
}

/** Takes our finalizer away. */
export function releasePatch({ uid, resourceVersion, finalizers }: AssignedRecord): PatchBody {
  return { type: "merge", body: { metadata: { uid, resourceVersion, finalizers: withoutFinalizer(finalizers) } } };
}

/**
 * JSON patch that makes an existing object say what the assignment says now. Spec and status are replaced as a whole: a merge
 * patch would leave in the copies what the identity does not have any more, and old spellings beside the new ones.
 */
export function rewritePatch(
  record: AssignedRecord,
  assignment: Assignment,
  status: AssignedIdentityStatus,
): PatchBody {
  const { labels, annotations } = assignedIdentityMarks(assignment);
  const body = [
    { op: "test", path: "/metadata/uid", value: record.uid },
    // Unlike a test, which is answered with 422, this is a conflict if it is not the stored one.
    { op: "replace", path: "/metadata/resourceVersion", value: record.resourceVersion },
    ...additions("/metadata/labels", labels, record.hasLabels),
    ...additions("/metadata/annotations", annotations, record.hasAnnotations),
    { op: "add", path: "/spec", value: assignedIdentitySpec(assignment) },
    { op: "add", path: "/status", value: assignedIdentityStatus(status) },
  ];
  return { type: "json", body };
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
