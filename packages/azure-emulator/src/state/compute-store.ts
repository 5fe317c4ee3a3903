import { randomUUID } from "node:crypto";
import type { ComputeResource, ScaleSetInstance } from "./compute-resource.ts";
import { armKey, parseResourceId } from "./resource-id.ts";

/** What runs an IMDS: a VM, or an instance of a uniform scale set. `resource` is where its identities are attached. */
export interface Machine {
  readonly resource: ComputeResource;
  readonly instance: ScaleSetInstance | undefined;
  readonly id: string;
}

/** Virtual machines and scale sets by lower-cased ARM id. */
export class ComputeStore {
  readonly #resources = new Map<string, ComputeResource>();

  add(resource: ComputeResource): void {
    this.#resources.set(resource.key, resource);
  }

  /** undefined as well once its deletion is over. */
  get(id: string, now: number): ComputeResource | undefined {
    const resource = this.#resources.get(armKey(id));
    if (resource?.deletion === undefined || now < resource.deletion.finishesAt) return resource;
    return undefined;
  }

  list(now: number): readonly ComputeResource[] {
    return [...this.#resources.values()].filter((resource) => this.get(resource.key, now) !== undefined);
  }

  remove(id: string): ComputeResource | undefined {
    const resource = this.#resources.get(armKey(id));
    if (resource !== undefined) this.#resources.delete(resource.key);
    return resource;
  }

  /** VMs of a flexible scale set. */
  members(scaleSet: ComputeResource, now: number): readonly ComputeResource[] {
    return this.list(now).filter((vm) => vm.scaleSetId !== undefined && armKey(vm.scaleSetId) === scaleSet.key);
  }

  /** `id`: ARM id of a VM or scale set instance; a node's providerID is fine too. */
  machine(id: string, now: number): Machine | undefined {
    const parsed = parseResourceId(id);
    if (parsed === undefined) return undefined;
    const type = parsed.type.toLowerCase();
    if (type === "virtualmachines") {
      const resource = this.get(parsed.key, now);
      return resource && { resource, instance: undefined, id: resource.id };
    }
    if (type !== "virtualmachinescalesets/virtualmachines") return undefined;
    const [, wanted = ""] = parsed.names;
    const scaleSet = this.get(parsed.key.slice(0, parsed.key.lastIndexOf("/virtualmachines/")), now);
    const instance = scaleSet?.instances.find((candidate) => candidate.instanceId === wanted);
    if (scaleSet !== undefined && instance !== undefined)
      return { resource: scaleSet, instance, id: `${scaleSet.id}/virtualMachines/${instance.instanceId}` };
    const member = scaleSet && this.members(scaleSet, now).find((vm) => vm.name.toLowerCase() === wanted.toLowerCase());
    return member && { resource: member, instance: undefined, id: member.id };
  }
}

/** Grows or shrinks a uniform scale set; the newest instances leave first and numbers are never used again. */
export function resize(scaleSet: ComputeResource, capacity: number, now: number): void {
  const { instances } = scaleSet;
  while (instances.length > capacity) instances.pop();
  const prefix = stringAt(scaleSet, "computerNamePrefix") ?? scaleSet.name;
  for (let next = nextInstanceId(scaleSet); instances.length < capacity; next += 1)
    instances.push({
      instanceId: String(next),
      name: `${scaleSet.name}_${next}`,
      computerName: `${prefix}${next.toString(36).toUpperCase().padStart(6, "0")}`,
      vmId: randomUUID(),
      createdAt: now,
      privateIp: `10.0.${Math.floor((next + 4) / 250)}.${((next + 4) % 250) + 1}`,
      latestModelApplied: true,
    });
}

const highest = new WeakMap<ComputeResource, number>();

function nextInstanceId(scaleSet: ComputeResource): number {
  const next = Math.max(
    highest.get(scaleSet) ?? 0,
    ...scaleSet.instances.map((instance) => Number(instance.instanceId) + 1),
  );
  highest.set(scaleSet, next);
  return next;
}

function stringAt(scaleSet: ComputeResource, name: string): string | undefined {
  const profile = scaleSet.body.properties["virtualMachineProfile"];
  const os =
    typeof profile === "object" && profile !== null && "osProfile" in profile ? profile["osProfile"] : undefined;
  const value = typeof os === "object" && os !== null && name in os ? (os as Record<string, unknown>)[name] : undefined;
  return typeof value === "string" ? value : undefined;
}
