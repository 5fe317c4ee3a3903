import type { NodeGroup } from "@podid/crd-types";
import { parseProviderId } from "@podid/crd-types";
import type { IdentityRef } from "../compute-state.ts";

const SUBSCRIPTION = "00000000-0000-0000-0000-000000000000";

export function virtualMachine(name: string, resourceGroup = "rg"): NodeGroup {
  return groupOf(`virtualMachines/${name}`, resourceGroup);
}

export function scaleSet(name: string, resourceGroup = "rg"): NodeGroup {
  return groupOf(`virtualMachineScaleSets/${name}/virtualMachines/0`, resourceGroup);
}

export function identity(name: string): IdentityRef {
  const id = `/subscriptions/${SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
  return { id, key: id.toLowerCase() };
}

function groupOf(machine: string, resourceGroup: string): NodeGroup {
  const parsed = parseProviderId(
    `azure:///subscriptions/${SUBSCRIPTION}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/${machine}`,
  );
  if (!parsed.ok) throw new Error(parsed.errors[0]?.message);
  return parsed.value.group;
}
