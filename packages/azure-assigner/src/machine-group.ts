import type { NodeGroup } from "@podid/crd-types";
import type { MachineScope } from "./arm.ts";

/** The machine of that name in a resource group; scope and name in any casing. */
export function machineGroup({ kind, subscriptionId, resourceGroup }: MachineScope, name: string): NodeGroup {
  const type = kind === "virtualMachine" ? "virtualMachines" : "virtualMachineScaleSets";
  const id = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/${type}/${name}`;
  return { kind, subscriptionId, resourceGroup, name, id, key: id.toLowerCase() };
}
