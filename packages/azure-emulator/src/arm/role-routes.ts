import type { JsonObject } from "../json.ts";
import { objectOf, stringOf } from "../json.ts";
import type { RoleAssignment, RoleDefinition } from "../state/roles.ts";
import { isWithin } from "../state/roles.ts";
import type { ArmContext, ArmOutcome, ArmRoute } from "./context.ts";
import {
  childNotFound,
  invalidRequestContent,
  principalNotFound,
  roleAssignmentExists,
  roleDefinitionNotFound,
} from "./errors.ts";
import { armReply, emptyReply } from "./replies.ts";

const assignments = { type: "Microsoft.Authorization/roleAssignments", style: "arm", since: "2015-07-01" } as const;
const definitions = { type: "Microsoft.Authorization/roleDefinitions", style: "arm", since: "2015-07-01" } as const;

export const roleRoutes: readonly ArmRoute[] = [
  { ...assignments, method: "GET", shape: "item", handle: read },
  { ...assignments, method: "GET", shape: "list", handle: list },
  { ...assignments, method: "PUT", shape: "item", handle: put },
  { ...assignments, method: "DELETE", shape: "item", handle: remove },
  { ...definitions, method: "GET", shape: "item", handle: readDefinition },
  { ...definitions, method: "GET", shape: "list", handle: listDefinitions },
];

function view(context: ArmContext, assignment: RoleAssignment): JsonObject {
  const created = new Date(assignment.createdAt).toISOString().replace("Z", "0000Z");
  return {
    properties: {
      roleDefinitionId: definitionId(context, assignment.role),
      principalId: assignment.principalId,
      principalType: assignment.principalType,
      scope: assignment.scope,
      condition: null,
      conditionVersion: null,
      createdOn: created,
      updatedOn: created,
    },
    id: assignment.id,
    type: assignments.type,
    name: assignment.name,
  };
}

function definitionId(context: ArmContext, definition: RoleDefinition): string {
  const { subscriptionId } = context.target;
  const prefix = subscriptionId === undefined ? "" : `/subscriptions/${subscriptionId}`;
  return `${prefix}/providers/Microsoft.Authorization/roleDefinitions/${definition.name}`;
}

function read(context: ArmContext): ArmOutcome {
  const assignment = context.state.roles.assignment(context.target.id);
  if (assignment === undefined) return { error: childNotFound(context.target.id) };
  return armReply(200, view(context, assignment));
}

/** `$filter` may be `atScope()`, `principalId eq '…'` or `assignedTo('…')`. Without one: at, above and below the scope. */
function list(context: ArmContext): ArmOutcome {
  const filter = context.request.query.get("$filter") ?? "";
  const principal = /(?:principalId eq |assignedTo\()'([^']+)'/i.exec(filter)?.[1]?.toLowerCase();
  const { scope } = context.target;
  const value = context.state.roles.assignments.filter(
    (assignment) =>
      (isWithin(scope, assignment.scope) || (!/atScope\(\)/i.test(filter) && isWithin(assignment.scope, scope))) &&
      (principal === undefined || assignment.principalId.toLowerCase() === principal),
  );
  return armReply(200, { value: value.map((assignment) => view(context, assignment)) });
}

function put(context: ArmContext): ArmOutcome {
  const { state, target } = context;
  let properties: JsonObject;
  try {
    properties = objectOf(objectOf(JSON.parse(context.request.body))["properties"]);
  } catch {
    return { error: invalidRequestContent("The body is no JSON object.") };
  }
  const role = stringOf(properties["roleDefinitionId"]);
  const principalId = stringOf(properties["principalId"]);
  if (role === undefined || principalId === undefined)
    return {
      error: invalidRequestContent(
        "Required properties 'roleDefinitionId' and 'principalId' not found in JSON. Path 'properties'.",
      ),
    };
  const definition = state.roles.definition(role);
  if (definition === undefined) return { error: roleDefinitionNotFound(role.slice(role.lastIndexOf("/") + 1)) };
  // A given principalType tells Azure not to look for the principal, which may not have been replicated yet.
  const principalType = stringOf(properties["principalType"]);
  if (principalType === undefined && state.directory.principal(principalId) === undefined)
    return { error: principalNotFound(principalId, state.tenantOf(target.subscriptionId)) };
  const { assignment, existed } = state.roles.assign({
    scope: target.scope,
    principalId,
    role: definition,
    name: target.names[0] ?? "",
    now: context.now,
    effectiveAt: context.now + state.settings.rolePropagationMs,
    ...(principalType === undefined ? {} : { principalType }),
  });
  return existed ? { error: roleAssignmentExists() } : armReply(201, view(context, assignment));
}

function remove(context: ArmContext): ArmOutcome {
  const removed = context.state.roles.remove(context.target.id);
  return removed === undefined ? emptyReply(204) : armReply(200, view(context, removed));
}

function definitionView(context: ArmContext, definition: RoleDefinition): JsonObject {
  return {
    properties: {
      roleName: definition.roleName,
      type: "BuiltInRole",
      description: "",
      assignableScopes: ["/"],
      permissions: [
        { actions: definition.actions, notActions: definition.notActions, dataActions: [], notDataActions: [] },
      ],
    },
    id: definitionId(context, definition),
    type: definitions.type,
    name: definition.name,
  };
}

function readDefinition(context: ArmContext): ArmOutcome {
  const name = context.target.names[0] ?? "";
  const definition = context.state.roles.definition(name);
  return definition === undefined
    ? { error: roleDefinitionNotFound(name) }
    : armReply(200, definitionView(context, definition));
}

function listDefinitions(context: ArmContext): ArmOutcome {
  const wanted = /roleName eq '([^']+)'/i.exec(context.request.query.get("$filter") ?? "")?.[1]?.toLowerCase();
  const value = context.state.roles.definitions.filter(
    (definition) => wanted === undefined || definition.roleName.toLowerCase() === wanted,
  );
  return armReply(200, { value: value.map((definition) => definitionView(context, definition)) });
}
