import type { JsonObject } from "../json.ts";
import { isJsonObject, objectOf, stringOf, textOf } from "../json.ts";
import { isWithin } from "../state/roles.ts";
import type { ResourceGroup, Subscription } from "../state/subscriptions.ts";
import type { ArmContext, ArmOutcome, ArmRoute } from "./context.ts";
import {
  authorizationFailed,
  invalidRequestContent,
  locationRequired,
  resourceGroupNotFound,
  subscriptionNotFound,
} from "./errors.ts";
import { armReply, emptyReply } from "./replies.ts";

const subscriptions = {
  type: "Microsoft.Resources/subscriptions",
  style: "arm",
  since: "2014-04-01",
  open: true,
} as const;
const groups = { type: "Microsoft.Resources/subscriptions/resourceGroups", style: "arm", since: "2014-04-01" } as const;

export const subscriptionRoutes: readonly ArmRoute[] = [
  { ...subscriptions, method: "GET", shape: "list", handle: list },
  { ...subscriptions, method: "GET", shape: "item", handle: read },
  { ...groups, method: "GET", shape: "list", handle: listGroups },
  { ...groups, method: "GET", shape: "item", handle: readGroup },
  {
    ...groups,
    method: "HEAD",
    shape: "item",
    handle: (context) => emptyReply(findGroup(context) === undefined ? 404 : 204),
  },
  { ...groups, method: "PUT", shape: "item", handle: putGroup },
  { ...groups, method: "DELETE", shape: "item", handle: removeGroup },
  { ...subscriptions, type: "Microsoft.Resources/tenants", method: "GET", shape: "list", handle: tenants },
];

function view(context: ArmContext, subscription: Subscription): JsonObject {
  return {
    id: `/subscriptions/${subscription.id}`,
    authorizationSource: "RoleBased",
    managedByTenants: [],
    subscriptionId: subscription.id,
    tenantId: subscription.tenantId,
    displayName: subscription.displayName,
    state: "Enabled",
    subscriptionPolicies: {
      locationPlacementId: "Public_2014-09-01",
      quotaId: "PayAsYouGo_2014-09-01",
      spendingLimit: "Off",
    },
    ...(context.apiVersion < "2016-06-01" ? { tenantId: undefined } : {}),
  };
}

/** Everybody sees the subscriptions in which they hold any role, on whatever. */
function visible(context: ArmContext, subscription: Subscription): boolean {
  const { state, caller } = context;
  if (subscription.tenantId.toLowerCase() !== caller.tenantId.toLowerCase()) return false;
  if (!state.settings.enforceRoles) return true;
  const id = `/subscriptions/${subscription.id}`;
  return state.roles.assignments.some(
    (assignment) =>
      assignment.principalId.toLowerCase() === caller.objectId.toLowerCase() &&
      assignment.effectiveAt <= context.now &&
      (isWithin(assignment.scope, id) || isWithin(id, assignment.scope)),
  );
}

function list(context: ArmContext): ArmOutcome {
  const value = context.state.subscriptions.list().filter((subscription) => visible(context, subscription));
  return armReply(200, {
    value: value.map((subscription) => view(context, subscription)),
    count: { type: "Total", value: value.length },
  });
}

function read(context: ArmContext): ArmOutcome {
  const id = context.target.subscriptionId ?? "";
  const subscription = context.state.subscriptions.get(id);
  if (subscription === undefined) return { error: subscriptionNotFound(id) };
  if (visible(context, subscription)) return armReply(200, view(context, subscription));
  return { error: authorizationFailed(context.caller, context.action, context.target.id) };
}

function tenants(context: ArmContext): ArmOutcome {
  const tenant = context.state.directory.tenant(context.caller.tenantId);
  const value =
    tenant === undefined
      ? []
      : [{ id: `/tenants/${tenant.id}`, tenantId: tenant.id, displayName: tenant.displayName, tenantCategory: "Home" }];
  return armReply(200, { value });
}

function groupView(group: ResourceGroup): JsonObject {
  return {
    id: group.id,
    name: group.name,
    type: "Microsoft.Resources/resourceGroups",
    location: group.location,
    tags: group.tags,
    properties: { provisioningState: "Succeeded" },
  };
}

function findGroup(context: ArmContext): ResourceGroup | undefined {
  return context.state.subscriptions.resourceGroup(
    context.target.subscriptionId ?? "",
    context.target.resourceGroup ?? "",
  );
}

function listGroups(context: ArmContext): ArmOutcome {
  return armReply(200, {
    value: context.state.subscriptions.resourceGroups(context.target.subscriptionId).map(groupView),
  });
}

function readGroup(context: ArmContext): ArmOutcome {
  const group = findGroup(context);
  return group === undefined
    ? { error: resourceGroupNotFound(context.target.resourceGroup ?? "") }
    : armReply(200, groupView(group));
}

function putGroup(context: ArmContext): ArmOutcome {
  let input: JsonObject;
  try {
    const parsed: unknown = JSON.parse(context.request.body);
    input = isJsonObject(parsed) ? parsed : {};
  } catch {
    return { error: invalidRequestContent("The body is no JSON object.") };
  }
  const present = findGroup(context);
  const location = stringOf(input["location"]) ?? present?.location;
  if (location === undefined) return { error: locationRequired() };
  const tags = Object.fromEntries(
    Object.entries(objectOf(input["tags"])).map(([name, value]) => [name, textOf(value)]),
  );
  const { subscriptionId = "", resourceGroup = "", id } = context.target;
  const group =
    present === undefined ? { id, subscriptionId, name: resourceGroup, location, tags } : { ...present, tags };
  context.state.subscriptions.addResourceGroup(group);
  return armReply(present === undefined ? 201 : 200, groupView(group));
}

/** Everything in the group goes with it. */
function removeGroup(context: ArmContext): ArmOutcome {
  const { state, target, now } = context;
  const group = findGroup(context);
  if (group === undefined) return { error: resourceGroupNotFound(target.resourceGroup ?? "") };
  for (const resource of state.compute.list(now)) if (isWithin(resource.id, group.id)) state.deleteMachine(resource.id);
  for (const identity of state.identities.list())
    if (isWithin(identity.id, group.id)) state.deleteIdentity(identity.id);
  state.roles.removeAtScope(group.id);
  state.subscriptions.removeResourceGroup(group.subscriptionId, group.name);
  return emptyReply(200);
}
