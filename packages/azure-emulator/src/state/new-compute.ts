import type { JsonObject } from "../json.ts";
import { mergePatch } from "../json.ts";
import { ComputeResource } from "./compute-resource.ts";
import { parseResourceId } from "./resource-id.ts";
import type { SeedScaleSet, SeedVirtualMachine } from "./seed.ts";

const DEFAULT_LOCATION = "westus2";
const DEFAULT_SIZE = "Standard_DS2_v2";
const IMAGE: JsonObject = {
  publisher: "Canonical",
  offer: "0001-com-ubuntu-server-jammy",
  sku: "22_04-lts-gen2",
  version: "latest",
};

/** @throws Error when the id is not a VM's. */
export function newVirtualMachine(vm: SeedVirtualMachine, now: number): ComputeResource {
  const { subscriptionId, resourceGroup, name, id, key } = requireId(vm.id, "virtualMachines");
  const resource = new ComputeResource({
    kind: "virtualMachine",
    id,
    key,
    name,
    subscriptionId,
    resourceGroup,
    createdAt: now,
    uniqueId: vm.vmId,
    scaleSetId: vm.scaleSet,
    body: {
      location: vm.location ?? DEFAULT_LOCATION,
      tags: vm.tags,
      sku: undefined,
      plan: undefined,
      zones: vm.zones,
      properties: mergePatch(
        {
          hardwareProfile: { vmSize: vm.vmSize ?? DEFAULT_SIZE },
          storageProfile: storageProfile(name),
          osProfile: osProfile({ computerName: name }),
          networkProfile: { networkInterfaces: [] },
        },
        vm.properties ?? {},
      ),
    },
  });
  resource.privateIp = vm.privateIp ?? resource.privateIp;
  return resource;
}

/** @throws Error when the id is not a scale set's. */
export function newScaleSet(scaleSet: SeedScaleSet, now: number): ComputeResource {
  const { subscriptionId, resourceGroup, name, id, key } = requireId(scaleSet.id, "virtualMachineScaleSets");
  const size = scaleSet.vmSize ?? DEFAULT_SIZE;
  return new ComputeResource({
    kind: "virtualMachineScaleSet",
    id,
    key,
    name,
    subscriptionId,
    resourceGroup,
    createdAt: now,
    uniqueId: scaleSet.uniqueId,
    body: {
      location: scaleSet.location ?? DEFAULT_LOCATION,
      tags: scaleSet.tags,
      sku: { name: size, tier: "Standard", capacity: scaleSet.instances ?? 1 },
      plan: undefined,
      zones: scaleSet.zones,
      properties: mergePatch(
        {
          singlePlacementGroup: false,
          orchestrationMode: scaleSet.orchestrationMode ?? "Uniform",
          upgradePolicy: { mode: scaleSet.upgradeMode ?? "Manual" },
          virtualMachineProfile: {
            osProfile: osProfile({ computerNamePrefix: name }),
            storageProfile: {
              imageReference: IMAGE,
              osDisk: { createOption: "FromImage", caching: "ReadWrite", diskSizeGB: 128 },
            },
          },
          overprovision: false,
        },
        scaleSet.properties ?? {},
      ),
    },
  });
}

function osProfile(name: JsonObject): JsonObject {
  return { ...name, adminUsername: "azureuser", linuxConfiguration: { disablePasswordAuthentication: true } };
}

function storageProfile(name: string): JsonObject {
  return {
    imageReference: IMAGE,
    osDisk: {
      osType: "Linux",
      name: `${name}_OsDisk`,
      createOption: "FromImage",
      caching: "ReadWrite",
      diskSizeGB: 128,
    },
    dataDisks: [],
  };
}

function requireId(
  text: string,
  type: string,
): { id: string; key: string; subscriptionId: string; resourceGroup: string; name: string } {
  const parsed = parseResourceId(text);
  const name = parsed?.names[0];
  if (
    parsed === undefined ||
    name === undefined ||
    `${parsed.namespace}/${parsed.type}`.toLowerCase() !== `microsoft.compute/${type}`.toLowerCase()
  )
    throw new Error(
      `${type}: id "${text}" must be /subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.Compute/${type}/NAME`,
    );
  return {
    id: parsed.id,
    key: parsed.key,
    subscriptionId: parsed.subscriptionId,
    resourceGroup: parsed.resourceGroup,
    name,
  };
}
