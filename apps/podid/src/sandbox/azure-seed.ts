import type { Seed } from "@podid/azure-emulator";
import { AZURE, type Topology } from "./topology.ts";

/** ARM id of an identity in the demo's resource group. */
export function identityId(name: string): string {
  return `/subscriptions/${AZURE.subscriptionId}/resourcegroups/${AZURE.resourceGroup}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

/** Identities that exist from the start, by name: client id. Only demo1 may read the resource group. */
export const SEEDED_IDENTITIES: Readonly<Record<string, string>> = {
  demo1: "00000000-0000-0000-0000-00000000c1d1",
  demo2: "00000000-0000-0000-0000-00000000c1d2",
};

/** The Azure of a sandbox: the cluster's machines, three idle VMs to list, identities, MIC's service principal and roles. */
export function azureSeed(topology: Topology, micSecret: string): Seed {
  const scope = (group: string): string => `/subscriptions/${AZURE.subscriptionId}/resourceGroups/${group}`;
  const nodes = scope(AZURE.nodeResourceGroup);
  const demo = scope(AZURE.resourceGroup);
  const { location } = AZURE;
  const instances = topology.nodes.filter((node) => node.kind === "virtualMachineScaleSet").length;
  return {
    tenants: [{ id: AZURE.tenantId, displayName: "podid sandbox" }],
    subscriptions: [{ id: AZURE.subscriptionId, displayName: "podid sandbox", tenantId: AZURE.tenantId }],
    resourceGroups: [
      { id: demo, location },
      { id: nodes, location },
    ],
    userAssignedIdentities: Object.entries(SEEDED_IDENTITIES).map(([name, clientId]) => ({
      id: identityId(name),
      clientId,
      location,
    })),
    virtualMachines: [
      ...topology.nodes
        .filter((node) => node.kind === "virtualMachine")
        .map((node) => ({ id: node.machineId, location, privateIp: node.address })),
      ...["web-0", "web-1", "db-0"].map((name) => ({
        id: `${demo}/providers/Microsoft.Compute/virtualMachines/${name}`,
        location,
      })),
    ],
    scaleSets:
      instances === 0
        ? []
        : [
            {
              id: `${nodes}/providers/Microsoft.Compute/virtualMachineScaleSets/${AZURE.scaleSet}`,
              location,
              instances,
            },
          ],
    apps: [{ clientId: AZURE.micClientId, tenantId: AZURE.tenantId, displayName: "podid-mic", secrets: [micSecret] }],
    roleAssignments: [
      { principal: AZURE.micClientId, role: "Managed Identity Operator", scope: demo },
      { principal: AZURE.micClientId, role: "Virtual Machine Contributor", scope: nodes },
      { principal: identityId("demo1"), role: "Reader", scope: demo },
    ],
  };
}
