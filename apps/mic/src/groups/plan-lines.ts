import type { IdentityRef, Plan } from "@podid/azure-assigner";
import type { AssignedRecord } from "../assigned/record.ts";

/** What a plan does, in upstream's words, which people search for. */
export function planLines(
  { attach, detach }: Plan,
  {
    name,
    assigned,
    dryRun,
  }: { readonly name: string; readonly assigned: readonly AssignedRecord[]; readonly dryRun: boolean },
): string[] {
  if (attach.length + detach.length === 0) return [];
  const ids = (refs: readonly IdentityRef[]): string => refs.map(({ id }) => id).join(" ");
  const prefix = dryRun ? "dry run: would be " : "";
  const missing = new Set(attach.map(({ key }) => key));
  const lost = new Set(
    assigned.flatMap(({ status, resourceKey = "" }) =>
      status === "Assigned" && missing.has(resourceKey) ? [resourceKey] : [],
    ),
  );
  return [
    ...(lost.size > 0 ? [`${prefix}reconciling identity assignment for [${[...lost].join(" ")}] on node ${name}`] : []),
    `${prefix}updating user-assigned identities on ${name}, assign [${ids(attach)}], unassign [${ids(detach)}]`,
  ];
}
