import { randomBytes } from "node:crypto";
import type { JsonObject } from "../json.ts";
import { isJsonObject, mergePatch, objectOf, stringOf } from "../json.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { AttachedIdentity, IdentityAssignment, ResourceBody } from "../state/compute-resource.ts";
import { ComputeResource } from "../state/compute-resource.ts";
import { resize } from "../state/compute-store.ts";
import { Operation } from "../state/operation.ts";
import { computeView, etagOf, knowsEtags } from "./compute-view.ts";
import type { ArmContext, ArmOutcome } from "./context.ts";
import type { ArmError } from "./errors.ts";
import {
  computeThrottled,
  conflict,
  etagMatches,
  etagMismatch,
  identityMissing,
  invalidRequestContent,
  linkedAuthorizationFailed,
  locationChanged,
  locationRequired,
  markedForDeletion,
  resourceNotFound,
} from "./errors.ts";
import type { IdentityModel } from "./identity-merge.ts";
import { mergeIdentity } from "./identity-merge.ts";
import { operationHeaders, remainingHeaders } from "./operation-routes.ts";
import { computeReply } from "./replies.ts";

const ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action";
const REMEMBERED_OPERATIONS = 10_000;
/** What the provider sets itself. */
const READ_ONLY = ["provisioningState", "vmId", "uniqueId", "timeCreated", "instanceView", "virtualMachineScaleSet"];

/** PUT or PATCH of a VM or scale set. */
export function writeCompute(context: ArmContext, kind: ComputeResource["kind"]): ArmOutcome {
  const { state, request, target, now, apiVersion } = context;
  const method = request.method === "PUT" ? "PUT" : "PATCH";
  const input = parseBody(request.body);
  if (input === undefined)
    return {
      error: invalidRequestContent(
        "Unexpected character encountered while parsing value. Path '', line 0, position 0.",
      ),
    };
  const linked = checkLinkedScopes(context, input);
  if (linked !== undefined) return { error: linked };

  const present = state.machineResource(target.id);
  if (present === undefined && method === "PATCH") return { error: notFound(context, kind) };
  if (present?.deletion !== undefined) return { error: markedForDeletion(kind, present.name) };
  const precondition = checkPreconditions(context, present);
  if (precondition !== undefined) return { error: precondition };
  const running = present?.runningOperation(now);
  if (running !== undefined && state.settings.concurrentWrites === "conflict") return { error: conflict() };

  const resource = present ?? create(context, kind);
  const merged = mergeIdentity(modelOf(resource), input["identity"], method, resource.id);
  if (merged.error !== undefined) return { error: merged.error };
  const lost = firstMissing(state, merged.next, input);
  if (lost !== undefined) return { error: identityMissing(resource.id, lost) };
  const body = nextBody(present?.body, input, method);
  if ("error" in body) return body;
  if (present !== undefined && body.location.toLowerCase() !== present.body.location.toLowerCase())
    return { error: locationChanged(present.name, present.resourceGroup, present.body.location, body.location) };
  const throttled = checkWriteLimit(context, resource);
  if (throttled !== undefined) return { error: throttled };

  if (present === undefined) state.compute.add(resource);
  const operation = startOperation(context, resource);
  const modelChanged = JSON.stringify(body.properties) !== JSON.stringify(resource.body.properties);
  const identity = nextIdentity(state, resource, merged.next, operation);
  const { imdsLagMs } = state.settings;
  resource.write({ now, operation, identity, body, imdsLagMs, creating: present === undefined });
  if (kind === "virtualMachineScaleSet")
    applyCapacity(state, resource, { now, modelChanged: modelChanged && present !== undefined });
  return computeReply(
    present === undefined ? 201 : 200,
    withStart(computeView(state, resource, apiVersion), present === undefined),
    [
      ["azure-asyncnotification", "Enabled"],
      ...operationHeaders(context, operation),
      ...remainingHeaders(context, kind === "virtualMachine" ? "vm-write" : "scale-set-write"),
      ...(knowsEtags(apiVersion) ? ([["etag", etagOf(resource)]] as const) : []),
    ],
  );
}

/** Even an operation that takes no time is under way when the first answer leaves. */
function withStart(view: JsonObject, created: boolean): JsonObject {
  return {
    ...view,
    properties: { ...objectOf(view["properties"]), provisioningState: created ? "Creating" : "Updating" },
  };
}

export function notFound(context: ArmContext, kind: ComputeResource["kind"]): ArmError {
  const type =
    kind === "virtualMachine" ? "Microsoft.Compute/virtualMachines" : "Microsoft.Compute/virtualMachineScaleSets";
  return resourceNotFound(type, context.target.names[0] ?? "", context.target.resourceGroup ?? "");
}

/** Starts what a write or deletion leaves running, as the faults that struck want it. */
export function startOperation(context: ArmContext, resource: ComputeResource): Operation {
  const { state, exchange, now } = context;
  const operation = new Operation({
    startedAt: now,
    durationMs:
      exchange.faults.find((fault) => fault.operationMs !== undefined)?.operationMs ?? state.settings.operationMs,
    resourceKey: resource.key,
    location: resource.body.location,
    subscriptionId: resource.subscriptionId,
    failure: exchange.faults.find((fault) => fault.operationFailure !== undefined)?.operationFailure,
  });
  state.operations.set(operation.id, operation);
  const [oldest] = state.operations.keys();
  if (oldest !== undefined && state.operations.size > REMEMBERED_OPERATIONS) state.operations.delete(oldest);
  return operation;
}

/** `If-Match` and `If-None-Match` of a write; `present` is undefined when there is no such resource yet. */
export function checkPreconditions(context: ArmContext, present: ComputeResource | undefined): ArmError | undefined {
  if (!knowsEtags(context.apiVersion)) return undefined;
  const match = context.request.headers["if-match"];
  const noneMatch = context.request.headers["if-none-match"];
  const is = present === undefined ? undefined : etagOf(present);
  if (match !== undefined && (is === undefined || (match !== "*" && unquoted(match) !== unquoted(is))))
    return etagMismatch(quoted(match), is ?? '""');
  if (noneMatch !== undefined && is !== undefined && (noneMatch === "*" || unquoted(noneMatch) === unquoted(is)))
    return etagMatches(quoted(noneMatch), is);
  return undefined;
}

function unquoted(etag: string): string {
  return etag.replace(/^W\//, "").replaceAll('"', "");
}

function quoted(etag: string): string {
  return `"${unquoted(etag)}"`;
}

function parseBody(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text === "" ? "{}" : text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** ARM itself checks the identities to attach, before the provider sees the request; the refusal names all ids of the request. */
function checkLinkedScopes(context: ArmContext, input: JsonObject): ArmError | undefined {
  const map = objectOf(objectOf(input["identity"])["userAssignedIdentities"]);
  const ids = Object.keys(map);
  const refused = ids.some((id) => map[id] !== null && !context.allows(ASSIGN, id));
  return refused ? linkedAuthorizationFailed(context.caller, context.action, context.target.id, ids) : undefined;
}

/** An identity that is gone fails every write that does not remove it. */
function firstMissing(state: AzureState, model: IdentityModel, input: JsonObject): string | undefined {
  const spelled = new Map(
    Object.keys(objectOf(objectOf(input["identity"])["userAssignedIdentities"])).map((id) => [id.toLowerCase(), id]),
  );
  for (const [key, id] of model.userAssigned)
    if (state.identities.get(key) === undefined) return spelled.get(key) ?? id;
  return undefined;
}

function modelOf(resource: ComputeResource): IdentityModel {
  const { system, userAssigned } = resource.identity;
  return {
    system: system !== undefined,
    userAssigned: new Map([...userAssigned].map(([key, entry]) => [key, entry.id])),
  };
}

function nextIdentity(
  state: AzureState,
  resource: ComputeResource,
  model: IdentityModel,
  operation: Operation,
): IdentityAssignment {
  const { system, userAssigned } = resource.identity;
  const entries = [...model.userAssigned].map(([key, id]): [string, AttachedIdentity] => {
    const kept = userAssigned.get(key);
    if (kept !== undefined) return [key, kept];
    return [key, { id, key, objectId: state.identities.get(key)?.principal.objectId ?? "", since: operation }];
  });
  if (!model.system && system !== undefined && operation.failure === undefined)
    state.directory.removePrincipal(system.objectId);
  return {
    userAssigned: new Map(entries),
    system: model.system ? (system ?? state.newSystemIdentity(resource)) : undefined,
  };
}

function nextBody(
  present: ResourceBody | undefined,
  input: JsonObject,
  method: "PUT" | "PATCH",
): ResourceBody | { readonly error: ArmError } {
  const properties = Object.fromEntries(
    Object.entries(objectOf(input["properties"])).filter(([name]) => !READ_ONLY.includes(name)),
  );
  const location = stringOf(input["location"]) ?? (method === "PATCH" ? present?.location : undefined);
  if (location === undefined) return { error: locationRequired() };
  const zones = Array.isArray(input["zones"]) ? input["zones"].map(String) : undefined;
  const given = {
    tags: isJsonObject(input["tags"]) ? input["tags"] : undefined,
    sku: isJsonObject(input["sku"]) ? input["sku"] : undefined,
    plan: isJsonObject(input["plan"]) ? input["plan"] : undefined,
  };
  if (method === "PUT" || present === undefined) return { location, ...given, zones, properties };
  return {
    location,
    tags: given.tags ?? present.tags,
    sku: given.sku === undefined ? present.sku : mergePatch(present.sku ?? {}, given.sku),
    plan: given.plan ?? present.plan,
    zones: zones ?? present.zones,
    properties: mergePatch(present.properties, properties),
  };
}

function create(context: ArmContext, kind: ComputeResource["kind"]): ComputeResource {
  const { target, now } = context;
  return new ComputeResource({
    kind,
    id: target.id,
    key: target.id.toLowerCase(),
    name: target.names[0] ?? "",
    subscriptionId: target.subscriptionId ?? "",
    resourceGroup: target.resourceGroup ?? "",
    createdAt: now,
    body: { location: "", tags: undefined, sku: undefined, plan: undefined, zones: undefined, properties: {} },
  });
}

function checkWriteLimit(context: ArmContext, resource: ComputeResource): ArmError | undefined {
  const { throttle, state, now } = context;
  const taken = throttle.take(`compute ${resource.key}`, state.settings.computeWriteLimit, now);
  if (taken.ok) return undefined;
  const group = resource.kind === "virtualMachine" ? "PutVM3Min" : "VMScaleSetActions3Min";
  const allowed = state.settings.computeWriteLimit?.burst ?? 0;
  return computeThrottled({
    group,
    now,
    windowMs: 180_000,
    allowed,
    measured: allowed + 1,
    retryAfterS: taken.retryAfterS,
  });
}

function applyCapacity(state: AzureState, scaleSet: ComputeResource, o: { now: number; modelChanged: boolean }): void {
  const capacity = scaleSet.body.sku?.["capacity"];
  const wanted = typeof capacity === "number" ? capacity : undefined;
  if (!scaleSet.flexible) {
    if (o.modelChanged && objectOf(scaleSet.body.properties["upgradePolicy"])["mode"] === "Manual")
      for (const instance of scaleSet.instances) instance.latestModelApplied = false;
    if (wanted !== undefined) resize(scaleSet, wanted, o.now);
    return;
  }
  for (let count = state.compute.members(scaleSet, o.now).length; count < (wanted ?? 0); count += 1)
    state.addVirtualMachine({
      id: scaleSet.id.replace(
        /virtualMachineScaleSets\/[^/]+$/i,
        `virtualMachines/${scaleSet.name}_${randomBytes(4).toString("hex")}`,
      ),
      location: scaleSet.body.location,
      scaleSet: scaleSet.id,
    });
}
