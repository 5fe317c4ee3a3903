import type { JsonObject } from "../json.ts";
import { objectOf } from "../json.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { ComputeResource, ScaleSetInstance } from "../state/compute-resource.ts";
import { identityTypeName } from "./identity-merge.ts";

/** Versions before this one neither show nor check etags. */
const ETAG_SINCE = "2024-03-01";

export function etagOf(resource: ComputeResource): string {
  return `"${resource.etag}"`;
}

export function knowsEtags(apiVersion: string): boolean {
  return apiVersion >= ETAG_SINCE;
}

/** A VM or scale set as ARM shows it, in the order of the wire. */
export function computeView(state: AzureState, resource: ComputeResource, apiVersion: string): JsonObject {
  const now = state.clock.now();
  const { location, tags, sku, plan, zones, properties } = resource.body;
  const vm = resource.kind === "virtualMachine";
  return {
    name: resource.name,
    id: resource.id,
    type: vm ? "Microsoft.Compute/virtualMachines" : "Microsoft.Compute/virtualMachineScaleSets",
    location,
    ...optional("tags", tags),
    ...optional("identity", identityView(state, resource)),
    ...optional("sku", sku),
    ...optional("plan", plan),
    ...optional("zones", zones),
    properties: {
      ...properties,
      ...(vm && resource.scaleSetId !== undefined ? { virtualMachineScaleSet: { id: resource.scaleSetId } } : {}),
      provisioningState: resource.provisioningState(now),
      [vm ? "vmId" : "uniqueId"]: resource.uniqueId,
      timeCreated: timestamp(resource.createdAt),
    },
    ...(knowsEtags(apiVersion) ? { etag: etagOf(resource) } : {}),
  };
}

/** An instance of a uniform scale set; the identities are the model's. */
export function instanceView(
  state: AzureState,
  scaleSet: ComputeResource,
  instance: ScaleSetInstance,
  apiVersion: string,
): JsonObject {
  const profile = objectOf(scaleSet.body.properties["virtualMachineProfile"]);
  return {
    name: instance.name,
    instanceId: instance.instanceId,
    id: `${scaleSet.id}/virtualMachines/${instance.instanceId}`,
    type: "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
    location: scaleSet.body.location,
    ...optional("tags", scaleSet.body.tags),
    ...optional("identity", identityView(state, scaleSet)),
    ...optional("sku", skuOf(scaleSet.body.sku)),
    ...optional("zones", scaleSet.body.zones),
    properties: {
      latestModelApplied: instance.latestModelApplied,
      modelDefinitionApplied: "VirtualMachineScaleSet",
      hardwareProfile: {},
      storageProfile: objectOf(profile["storageProfile"]),
      osProfile: { ...objectOf(profile["osProfile"]), computerName: instance.computerName },
      networkProfile: { networkInterfaces: [] },
      provisioningState: "Succeeded",
      vmId: instance.vmId,
      timeCreated: timestamp(instance.createdAt),
    },
    ...(knowsEtags(apiVersion) ? { etag: etagOf(scaleSet) } : {}),
  };
}

/**
 * `{}` for an entry whose operation runs, its ids for a living one, and nulls for one whose identity was deleted
 * or re-created. undefined when there is no identity at all.
 */
export function identityView(state: AzureState, resource: ComputeResource): JsonObject | undefined {
  const now = state.clock.now();
  resource.settle(now);
  const { system, userAssigned } = resource.identity;
  if (system === undefined && userAssigned.size === 0) return undefined;
  const entries = [...userAssigned.values()].map((entry) => {
    if (entry.since?.status(now) === "InProgress") return [entry.id, {}] as const;
    const principal = state.identities.get(entry.key)?.principal;
    const living = principal?.objectId === entry.objectId ? principal : undefined;
    return [entry.id, { principalId: living?.objectId ?? null, clientId: living?.clientId ?? null }] as const;
  });
  return {
    type: identityTypeName({ system: system !== undefined, userAssigned: new Map(entries.map(([id]) => [id, id])) }),
    ...(system === undefined ? {} : { principalId: system.objectId, tenantId: system.tenantId }),
    ...(entries.length === 0 ? {} : { userAssignedIdentities: Object.fromEntries(entries) }),
  };
}

/** .NET's time with its offset; zeros at the end are left out. */
export function timestamp(epochMs: number): string {
  return new Date(epochMs)
    .toISOString()
    .replace(/\.?0*Z$/, "")
    .concat("+00:00");
}

function skuOf(sku: JsonObject | undefined): JsonObject | undefined {
  return sku && Object.fromEntries(Object.entries(sku).filter(([name]) => name !== "capacity"));
}

function optional<T>(name: string, value: T | undefined): Record<string, T> {
  return value === undefined ? {} : { [name]: value };
}
