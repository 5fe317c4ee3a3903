import { objectOf } from "../json.ts";
import type { ComputeResource, ScaleSetInstance } from "../state/compute-resource.ts";
import { isWithin } from "../state/roles.ts";
import { computeView, etagOf, instanceView, knowsEtags } from "./compute-view.ts";
import { checkPreconditions, notFound, startOperation, writeCompute } from "./compute-write.ts";
import type { ArmContext, ArmOutcome, ArmRoute } from "./context.ts";
import { instanceNotFound } from "./errors.ts";
import { operationHeaders, remainingHeaders } from "./operation-routes.ts";
import { computeReply, emptyReply } from "./replies.ts";

const VM = "Microsoft.Compute/virtualMachines";
const SCALE_SET = "Microsoft.Compute/virtualMachineScaleSets";
const INSTANCE = `${SCALE_SET}/virtualMachines`;
const SINCE = "2015-06-15";

function routes(type: string, kind: ComputeResource["kind"]): readonly ArmRoute[] {
  const common = { type, style: "compute", since: SINCE } as const;
  return [
    { ...common, method: "GET", shape: "item", handle: (context) => read(context, kind) },
    { ...common, method: "GET", shape: "list", handle: (context) => list(context, kind) },
    { ...common, method: "PUT", shape: "item", handle: (context) => writeCompute(context, kind) },
    { ...common, method: "PATCH", shape: "item", handle: (context) => writeCompute(context, kind) },
    { ...common, method: "DELETE", shape: "item", handle: (context) => remove(context, kind) },
  ];
}

const instances = { type: INSTANCE, style: "compute", since: SINCE } as const;
const scaleSets = { type: SCALE_SET, style: "compute", since: SINCE } as const;

export const computeRoutes: readonly ArmRoute[] = [
  ...routes(VM, "virtualMachine"),
  ...routes(SCALE_SET, "virtualMachineScaleSet"),
  { ...instances, method: "GET", shape: "list", handle: listInstances },
  { ...instances, method: "GET", shape: "item", handle: readInstance },
  {
    ...instances,
    method: "DELETE",
    shape: "item",
    handle: (context) => removeInstances(context, () => [context.target.names[1] ?? ""]),
  },
  { ...scaleSets, method: "POST", shape: "delete", handle: (context) => removeInstances(context, requestedInstances) },
  { ...scaleSets, method: "POST", shape: "manualupgrade", handle: upgradeInstances },
];

function find(context: ArmContext, kind: ComputeResource["kind"], id = context.target.id): ComputeResource | undefined {
  const resource = context.state.machineResource(id);
  return resource?.kind === kind ? resource : undefined;
}

function read(context: ArmContext, kind: ComputeResource["kind"]): ArmOutcome {
  const resource = find(context, kind);
  if (resource === undefined) return { error: notFound(context, kind) };
  return computeReply(200, computeView(context.state, resource, context.apiVersion), [
    ...remainingHeaders(context, kind === "virtualMachine" ? "vm-read" : "scale-set-read"),
    ...(knowsEtags(context.apiVersion) ? ([["etag", etagOf(resource)]] as const) : []),
  ]);
}

function list(context: ArmContext, kind: ComputeResource["kind"]): ArmOutcome {
  const value = context.state.compute
    .list(context.now)
    .filter((resource) => resource.kind === kind && isWithin(resource.id, context.target.id))
    .map((resource) => computeView(context.state, resource, context.apiVersion));
  return computeReply(200, { value }, remainingHeaders(context, "list"));
}

function remove(context: ArmContext, kind: ComputeResource["kind"]): ArmOutcome {
  const { state, target, now } = context;
  const resource = find(context, kind);
  if (resource === undefined) return emptyReply(204);
  const precondition = checkPreconditions(context, resource);
  if (precondition !== undefined) return { error: precondition };
  const operation = resource.deletion ?? startOperation(context, resource);
  if (resource.deletion === undefined && operation.failure === undefined) {
    resource.markDeleting(operation);
    state.roles.removeAtScope(target.id);
    if (resource.identity.system !== undefined) state.directory.removePrincipal(resource.identity.system.objectId);
    for (const member of kind === "virtualMachineScaleSet" ? state.compute.members(resource, now) : [])
      member.markDeleting(operation);
  }
  return accepted(context, kind, operation);
}

/** 202 with nothing but where to look. */
function accepted(
  context: ArmContext,
  kind: ComputeResource["kind"],
  operation: ReturnType<typeof startOperation>,
): ArmOutcome {
  return emptyReply(202, [
    ...operationHeaders(context, operation, { location: true }),
    ...remainingHeaders(context, kind === "virtualMachine" ? "vm-write" : "scale-set-write"),
  ]);
}

/** The scale set that a path below it names. */
function parent(context: ArmContext): ComputeResource | undefined {
  return find(context, "virtualMachineScaleSet", context.target.id.replace(/\/virtualMachines(\/[^/]*)?$/i, ""));
}

function listInstances(context: ArmContext): ArmOutcome {
  const scaleSet = parent(context);
  if (scaleSet === undefined) return { error: notFound(context, "virtualMachineScaleSet") };
  const value = scaleSet.flexible
    ? context.state.compute
        .members(scaleSet, context.now)
        .map((vm) => computeView(context.state, vm, context.apiVersion))
    : scaleSet.instances.map((instance) => instanceView(context.state, scaleSet, instance, context.apiVersion));
  return computeReply(200, { value }, remainingHeaders(context, "list"));
}

function readInstance(context: ArmContext): ArmOutcome {
  const scaleSet = parent(context);
  if (scaleSet === undefined) return { error: notFound(context, "virtualMachineScaleSet") };
  const machine = context.state.machine(context.target.id);
  if (machine === undefined) return { error: instanceNotFound(context.target.names[1] ?? "") };
  const view =
    machine.instance === undefined
      ? computeView(context.state, machine.resource, context.apiVersion)
      : instanceView(context.state, scaleSet, machine.instance, context.apiVersion);
  return computeReply(200, view, remainingHeaders(context, "scale-set-read"));
}

function removeInstances(
  context: ArmContext,
  idsOf: (context: ArmContext, scaleSet: ComputeResource) => readonly string[],
): ArmOutcome {
  const scaleSet = parent(context);
  if (scaleSet === undefined) return { error: notFound(context, "virtualMachineScaleSet") };
  const ids = new Set(idsOf(context, scaleSet));
  const operation = startOperation(context, scaleSet);
  if (operation.failure === undefined) {
    const staying = scaleSet.instances.filter((instance) => !ids.has(instance.instanceId));
    scaleSet.instances.splice(0, scaleSet.instances.length, ...staying);
    for (const vm of context.state.compute.members(scaleSet, context.now))
      if (ids.has(vm.name)) vm.markDeleting(operation);
    const members = context.state.compute.members(scaleSet, context.now).filter((vm) => vm.deletion === undefined);
    const capacity = scaleSet.flexible ? members.length : staying.length;
    scaleSet.body = { ...scaleSet.body, sku: { ...scaleSet.body.sku, capacity } };
  }
  return accepted(context, "virtualMachineScaleSet", operation);
}

function upgradeInstances(context: ArmContext): ArmOutcome {
  const scaleSet = parent(context);
  if (scaleSet === undefined) return { error: notFound(context, "virtualMachineScaleSet") };
  const ids = new Set(requestedInstances(context, scaleSet));
  const operation = startOperation(context, scaleSet);
  for (const instance of scaleSet.instances) if (ids.has(instance.instanceId)) instance.latestModelApplied = true;
  return accepted(context, "virtualMachineScaleSet", operation);
}

/** `{"instanceIds": [...]}`, where a star means all. */
function requestedInstances(context: ArmContext, scaleSet: ComputeResource): readonly string[] {
  let ids: unknown;
  try {
    ids = objectOf(JSON.parse(context.request.body))["instanceIds"];
  } catch {
    ids = undefined;
  }
  const wanted = Array.isArray(ids) ? ids.map(String) : [];
  return wanted.includes("*") ? scaleSet.instances.map((instance: ScaleSetInstance) => instance.instanceId) : wanted;
}
