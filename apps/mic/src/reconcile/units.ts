import type { MachineScope } from "@podid/azure-assigner";
import type { NodeGroup } from "@podid/crd-types";

/** What is asked of ARM in one go: one machine, or all machines of a kind in a resource group. */
export type ReconcileUnit =
  | { readonly kind: "machine"; readonly group: NodeGroup }
  | { readonly kind: "list"; readonly scope: MachineScope; readonly groups: readonly NodeGroup[] };

/**
 * From so many machines in one resource group a list is cheaper: it counts as a few reads, although the compute provider allows
 * fewer lists than reads of one machine (160 in three minutes against thousands).
 */
export const LIST_FROM = 10;

/** Divides groups into units, in an order that depends on their names alone: the same from round to round, and not the alphabet. */
export function unitsOf(
  groups: Iterable<NodeGroup>,
  mayList: (scope: MachineScope) => boolean = () => true,
): readonly ReconcileUnit[] {
  const byScope = new Map<string, NodeGroup[]>();
  for (const group of groups) {
    const key = scopeKey(group);
    byScope.set(key, [...(byScope.get(key) ?? []), group]);
  }
  const units: (readonly [string, ReconcileUnit])[] = [];
  for (const [key, members] of byScope) {
    const [scope] = members;
    if (scope !== undefined && members.length >= LIST_FROM && mayList(scope)) {
      units.push([key, { kind: "list", scope, groups: members }]);
    } else for (const group of members) units.push([group.key, { kind: "machine", group }]);
  }
  return units
    .map(([key, unit]) => ({ key, order: scatter(key), unit }))
    .sort((a, b) => a.order - b.order || (a.key < b.key ? -1 : 1))
    .map(({ unit }) => unit);
}

export function scopeKey({ kind, subscriptionId, resourceGroup }: MachineScope): string {
  return `${kind} ${subscriptionId}/${resourceGroup}`.toLowerCase();
}

/** FNV-1a: neighbours in the alphabet, which fail together, come apart. */
function scatter(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
