import type { JsonObject, JsonValue } from "../json.ts";
import { objectOf, stringOf, textOf } from "../json.ts";
import type { Machine } from "../state/compute-store.ts";

/**
 * Since when each field of `compute` exists; fields that are not listed are as old as IMDS.
 * https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service
 */
const SINCE: Readonly<Record<string, string>> = {
  placementGroupId: "2017-08-01",
  resourceGroupName: "2017-08-01",
  subscriptionId: "2017-08-01",
  tags: "2017-08-01",
  vmScaleSetName: "2017-12-01",
  zone: "2017-12-01",
  plan: "2018-04-02",
  publicKeys: "2018-04-02",
  azEnvironment: "2018-10-01",
  provider: "2018-10-01",
  customData: "2019-02-01",
  resourceId: "2019-03-11",
  storageProfile: "2019-06-01",
  tagsList: "2019-06-04",
  isHostCompatibilityLayerVm: "2020-06-01",
  securityProfile: "2020-06-01",
  osProfile: "2020-07-15",
  licenseType: "2020-09-01",
  evictionPolicy: "2020-12-01",
  priority: "2020-12-01",
  userData: "2021-01-01",
  extendedLocation: "2021-03-01",
  virtualMachineScaleSet: "2021-03-01",
  additionalCapabilities: "2021-11-01",
  host: "2021-11-15",
  hostGroup: "2021-11-15",
  physicalZone: "2023-07-01",
  isVmInStandbyPool: "2023-11-15",
};

/** The tree behind `/metadata/instance`: every leaf is a string, what does not apply is empty. */
export function instanceDocument(machine: Machine, version: string): JsonObject {
  const compute = computeFields(machine);
  return {
    compute: Object.fromEntries(Object.entries(compute).filter(([name]) => (SINCE[name] ?? "") <= version)),
    network: { interface: [networkInterface(machine)] },
  };
}

function computeFields({ resource, instance, id }: Machine): JsonObject {
  const { location, tags, zones, properties, sku } = resource.body;
  const profile = instance === undefined ? properties : objectOf(properties["virtualMachineProfile"]);
  const image = objectOf(objectOf(profile["storageProfile"])["imageReference"]);
  const os = objectOf(profile["osProfile"]);
  const scaleSetName = instance === undefined ? (resource.scaleSetId?.split("/").at(-1) ?? "") : resource.name;
  const tagPairs = Object.entries(tags ?? {}).map(([name, value]) => ({ name, value: textOf(value) }));
  const number = Number(instance?.instanceId ?? 0);
  return {
    additionalCapabilities: { hibernationEnabled: "false" },
    azEnvironment: "AzurePublicCloud",
    customData: "",
    evictionPolicy: "",
    extendedLocation: { name: "", type: "" },
    host: { id: "" },
    hostGroup: { id: "" },
    isHostCompatibilityLayerVm: "false",
    isVmInStandbyPool: "",
    licenseType: "",
    location,
    name: instance?.name ?? resource.name,
    offer: text(image, "offer"),
    osProfile: {
      adminUsername: text(os, "adminUsername"),
      computerName: instance?.computerName ?? text(os, "computerName"),
      disablePasswordAuthentication: "true",
    },
    osType: "Linux",
    physicalZone: "",
    placementGroupId: "",
    plan: { name: "", product: "", publisher: "" },
    platformFaultDomain: String(number % 5),
    platformUpdateDomain: String(number % 20),
    priority: stringOf(profile["priority"]) ?? "",
    provider: "Microsoft.Compute",
    publicKeys: [],
    publisher: text(image, "publisher"),
    resourceGroupName: resource.resourceGroup,
    resourceId: id,
    securityProfile: {
      encryptionAtHost: "false",
      secureBootEnabled: "false",
      securityType: "",
      virtualTpmEnabled: "false",
    },
    sku: text(image, "sku"),
    storageProfile: storageProfile(profile, image),
    subscriptionId: resource.subscriptionId,
    tags: tagPairs.map(({ name, value }) => `${name}:${value}`).join(";"),
    tagsList: tagPairs,
    userData: "",
    version: text(image, "version"),
    virtualMachineScaleSet: { id: instance === undefined ? (resource.scaleSetId ?? "") : "" },
    vmId: instance?.vmId ?? resource.uniqueId,
    vmScaleSetName: scaleSetName,
    vmSize: text(objectOf(properties["hardwareProfile"]), "vmSize") || text(sku ?? {}, "name"),
    zone: zones?.[0] ?? "",
  };
}

function storageProfile(profile: JsonObject, image: JsonObject): JsonObject {
  const disk = objectOf(objectOf(profile["storageProfile"])["osDisk"]);
  return {
    dataDisks: [],
    imageReference: {
      id: text(image, "id"),
      offer: text(image, "offer"),
      publisher: text(image, "publisher"),
      sku: text(image, "sku"),
      version: text(image, "version"),
    },
    osDisk: {
      caching: text(disk, "caching"),
      createOption: text(disk, "createOption"),
      diffDiskSettings: { option: "" },
      diskSizeGB: textOf(disk["diskSizeGB"]),
      encryptionSettings: { enabled: "false" },
      image: { uri: "" },
      managedDisk: { id: "", storageAccountType: "" },
      name: text(disk, "name"),
      osType: "Linux",
      vhd: { uri: "" },
      writeAcceleratorEnabled: "false",
    },
    resourceDisk: { size: "14336" },
  };
}

function networkInterface({ resource, instance }: Machine): JsonValue {
  const address = instance?.privateIp ?? resource.privateIp;
  const hex = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0").toUpperCase());
  return {
    ipv4: {
      ipAddress: [{ privateIpAddress: address, publicIpAddress: "" }],
      subnet: [{ address: `${address.split(".").slice(0, 2).join(".")}.0.0`, prefix: "16" }],
    },
    ipv6: { ipAddress: [] },
    macAddress: `000D${hex.join("")}`.slice(0, 12),
  };
}

function text(object: JsonObject, name: string): string {
  return stringOf(object[name]) ?? "";
}
