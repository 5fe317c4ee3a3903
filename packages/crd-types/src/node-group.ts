import { splitArmId } from "./arm-id.ts";
import { failed, fieldError, ok } from "./result.ts";
import type { Result } from "./result.ts";

/** What identities attach to: a virtual machine of its own, or a scale set with all its instances. */
export interface NodeGroup {
  readonly kind: "virtualMachine" | "virtualMachineScaleSet";
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
  /** ARM id in ARM's own spelling of the keywords, names as they were written. */
  readonly id: string;
  /** The id in lower case: the only thing to compare by. */
  readonly key: string;
}

export interface NodePlacement {
  readonly group: NodeGroup;
  /** Scale sets: the instance, a number in a uniform scale set and a machine's name in a flexible one. */
  readonly instance?: string;
}

/** The parts of any ARM id that name its top-level resource; what is nested below it is left out. */
export interface ComputeResourceId {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly provider: string;
  readonly resourceType: string;
  readonly name: string;
}

const SCHEME = "azure://";
const PROVIDER_ID_FORMAT =
  "azure:///subscriptions/<subid>/resourceGroups/<resourcegroup>/providers/Microsoft.Compute/virtualMachines/<name> or …/virtualMachineScaleSets/<name>/virtualMachines/<instance>";

/**
 * Reads `node.spec.providerID` as cloud-provider-azure writes it, in any casing: a virtual machine (also one that a flexible
 * scale set made, which ARM treats as a machine of its own), or an instance of a scale set.
 */
export function parseProviderId(text: string): Result<NodePlacement> {
  if (text.slice(0, SCHEME.length).toLowerCase() !== SCHEME) {
    return refuseProviderId(text, text === "" ? "the node has none yet" : "it does not begin with azure://");
  }
  const pieces = splitArmId(text.slice(SCHEME.length));
  if (typeof pieces === "string") return refuseProviderId(text, pieces);
  const { subscriptionId, resourceGroup, provider, resources } = pieces;
  if (provider.toLowerCase() !== "microsoft.compute") {
    return refuseProviderId(text, "the resource provider is not Microsoft.Compute");
  }
  const [machine, instance, deeper] = resources;
  const type = machine?.type.toLowerCase();
  if (machine !== undefined && type === "virtualmachines" && instance === undefined) {
    return ok({ group: group("virtualMachine", subscriptionId, resourceGroup, machine.name) });
  }
  const instanceIsMachine = instance?.type.toLowerCase() === "virtualmachines";
  if (
    machine !== undefined &&
    instance !== undefined &&
    type === "virtualmachinescalesets" &&
    instanceIsMachine &&
    !deeper
  ) {
    return ok({
      group: group("virtualMachineScaleSet", subscriptionId, resourceGroup, machine.name),
      instance: instance.name,
    });
  }
  return refuseProviderId(text, "it names neither a virtual machine nor an instance of a scale set");
}

/** Reads the ARM id of any resource and names its top-level one: `…/providers/<provider>/<type>/<name>[/<nested>/<name>…]`. */
export function parseComputeResourceId(text: string): Result<ComputeResourceId> {
  const pieces = splitArmId(text);
  const [resource] = typeof pieces === "string" ? [] : pieces.resources;
  if (typeof pieces === "string" || resource === undefined) {
    const why = typeof pieces === "string" ? pieces : "it names no resource";
    const fix = `use /subscriptions/<subid>/resourceGroups/<resourcegroup>/providers/<provider>/<type>/<name> (${why})`;
    return failed(fieldError("id", text, fix));
  }
  const { subscriptionId, resourceGroup, provider } = pieces;
  return ok({ subscriptionId, resourceGroup, provider, resourceType: resource.type, name: resource.name });
}

function group(kind: NodeGroup["kind"], subscriptionId: string, resourceGroup: string, name: string): NodeGroup {
  const type = kind === "virtualMachine" ? "virtualMachines" : "virtualMachineScaleSets";
  const id = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/${type}/${name}`;
  return { kind, subscriptionId, resourceGroup, name, id, key: id.toLowerCase() };
}

function refuseProviderId(text: string, why: string): Result<never> {
  return failed(fieldError("spec.providerID", text, `expected ${PROVIDER_ID_FORMAT} (${why})`));
}
