/** Names and ids that upstream's scenarios use. */
export const IDENTITY_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000";
export const VM_SUBSCRIPTION = "testSub";
export const SCALE_SET_SUBSCRIPTION = "fakeSub";
/** MIC writes the status of an identity or a binding every 30 s at most: on a busy machine the first may come before the work is done. */
export const STATUS_PATIENCE = 60_000;

/** RID(x). */
export function resourceId(name: string): string {
  return `/subscriptions/${IDENTITY_SUBSCRIPTION}/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

export function vmId(name: string): string {
  return `/subscriptions/${VM_SUBSCRIPTION}/resourceGroups/fakeGroup/providers/Microsoft.Compute/virtualMachines/${name}`;
}

export function scaleSetId(name: string, resourceGroup = "fakeGroup"): string {
  return `/subscriptions/${SCALE_SET_SUBSCRIPTION}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/virtualMachineScaleSets/${name}`;
}

/** Where a node runs, and what its identities are attached to. */
export interface Machine {
  readonly name: string;
  /** ARM id of the VM or scale set. */
  readonly id: string;
  readonly providerID: string;
}

export function vm(name: string): Machine {
  return { name, id: vmId(name), providerID: `azure://${vmId(name)}` };
}

export function instance(scaleSet: string, number: number, resourceGroup?: string): Machine {
  const id = scaleSetId(scaleSet, resourceGroup);
  return { name: scaleSet, id, providerID: `azure://${id}/virtualMachines/${number}` };
}

/** Both kinds of machine, for scenarios that must hold on either. */
export const MACHINES: readonly { readonly kind: string; readonly machine: Machine }[] = [
  { kind: "VM", machine: vm("test-node") },
  { kind: "scale set", machine: instance("testvmss1", 0) },
];
