import { randomUUID } from "node:crypto";
import { armKey } from "./resource-id.ts";

export interface RoleDefinition {
  /** GUID; the last segment of its id. */
  readonly name: string;
  readonly roleName: string;
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
}

export interface RoleAssignment {
  readonly id: string;
  readonly name: string;
  readonly scope: string;
  readonly principalId: string;
  readonly principalType: string;
  readonly role: RoleDefinition;
  readonly createdAt: number;
  /** Epoch milliseconds from which it counts. */
  readonly effectiveAt: number;
}

function role(
  name: string,
  roleName: string,
  actions: readonly string[],
  notActions: readonly string[] = [],
): RoleDefinition {
  return { name, roleName, actions, notActions };
}

const IDENTITY_TYPES = "Microsoft.ManagedIdentity/userAssignedIdentities";

/** Azure's built-in roles that matter here, with their real GUIDs. https://learn.microsoft.com/azure/role-based-access-control/built-in-roles */
const BUILT_IN: readonly RoleDefinition[] = [
  role("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner", ["*"]),
  role(
    "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Contributor",
    ["*"],
    [
      "Microsoft.Authorization/*/Delete",
      "Microsoft.Authorization/*/Write",
      "Microsoft.Authorization/elevateAccess/Action",
    ],
  ),
  role("acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader", ["*/read"]),
  role("18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "User Access Administrator", ["*/read", "Microsoft.Authorization/*"]),
  role("9980e02c-c2be-4d73-94e8-173b1dc7cf3c", "Virtual Machine Contributor", [
    "Microsoft.Authorization/*/read",
    "Microsoft.Compute/virtualMachines/*",
    "Microsoft.Compute/virtualMachineScaleSets/*",
    "Microsoft.Compute/locations/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
  ]),
  role("f1a07417-d97a-45cb-824c-7a7467783830", "Managed Identity Operator", [
    `${IDENTITY_TYPES}/*/read`,
    `${IDENTITY_TYPES}/*/assign/action`,
    "Microsoft.Authorization/*/read",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
  ]),
  role("e40ec5ca-96e0-45a2-b4ff-59039f2c2b59", "Managed Identity Contributor", [
    `${IDENTITY_TYPES}/read`,
    `${IDENTITY_TYPES}/write`,
    `${IDENTITY_TYPES}/delete`,
    `${IDENTITY_TYPES}/federatedIdentityCredentials/*`,
    "Microsoft.Authorization/*/read",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
  ]),
];

/** Role definitions, assignments, and the question whether somebody may. */
export class Roles {
  readonly #definitions = new Map<string, RoleDefinition>(BUILT_IN.map((definition) => [definition.name, definition]));
  readonly #assignments = new Map<string, RoleAssignment>();

  addDefinition(definition: {
    roleName: string;
    actions: readonly string[];
    notActions?: readonly string[];
    name?: string;
  }): RoleDefinition {
    const added = role(definition.name ?? randomUUID(), definition.roleName, definition.actions, definition.notActions);
    this.#definitions.set(added.name.toLowerCase(), added);
    return added;
  }

  get definitions(): readonly RoleDefinition[] {
    return [...this.#definitions.values()];
  }

  /** By role name ("Contributor"), GUID or full id. */
  definition(name: string): RoleDefinition | undefined {
    const last = name.slice(name.lastIndexOf("/") + 1).toLowerCase();
    return (
      this.#definitions.get(last) ?? this.definitions.find((definition) => definition.roleName.toLowerCase() === last)
    );
  }

  /** Like Azure, one assignment per scope, role and principal: a second one returns the first. */
  assign(o: {
    scope: string;
    principalId: string;
    principalType?: string;
    role: RoleDefinition;
    name?: string;
    now: number;
    effectiveAt?: number;
  }): { readonly assignment: RoleAssignment; readonly existed: boolean } {
    const scope = o.scope.endsWith("/") && o.scope !== "/" ? o.scope.slice(0, -1) : o.scope;
    const same = this.assignments.find(
      (existing) =>
        armKey(existing.scope) === armKey(scope) &&
        existing.role.name === o.role.name &&
        existing.principalId.toLowerCase() === o.principalId.toLowerCase(),
    );
    if (same !== undefined) return { assignment: same, existed: true };
    const name = o.name ?? randomUUID();
    const id = `${scope === "/" ? "" : scope}/providers/Microsoft.Authorization/roleAssignments/${name}`;
    const assignment: RoleAssignment = {
      id,
      name,
      scope,
      principalId: o.principalId,
      principalType: o.principalType ?? "ServicePrincipal",
      role: o.role,
      createdAt: o.now,
      effectiveAt: o.effectiveAt ?? -Infinity,
    };
    this.#assignments.set(armKey(id), assignment);
    return { assignment, existed: false };
  }

  get assignments(): readonly RoleAssignment[] {
    return [...this.#assignments.values()];
  }

  assignment(id: string): RoleAssignment | undefined {
    return this.#assignments.get(armKey(id));
  }

  remove(id: string): RoleAssignment | undefined {
    const assignment = this.assignment(id);
    if (assignment !== undefined) this.#assignments.delete(armKey(id));
    return assignment;
  }

  /** Azure drops the assignments on a resource together with it. */
  removeAtScope(scope: string): void {
    for (const assignment of this.assignments) if (isWithin(assignment.scope, scope)) this.remove(assignment.id);
  }

  /** Whether `principalId` holds a role for `action` at `scope` or above it, in effect at `now`. */
  allows(principalId: string, action: string, scope: string, now: number): boolean {
    return this.assignments.some(
      (assignment) =>
        assignment.principalId.toLowerCase() === principalId.toLowerCase() &&
        assignment.effectiveAt <= now &&
        isWithin(scope, assignment.scope) &&
        assignment.role.actions.some((pattern) => matches(pattern, action)) &&
        !assignment.role.notActions.some((pattern) => matches(pattern, action)),
    );
  }
}

/** Whether `scope` is `ancestor` or below it. */
export function isWithin(scope: string, ancestor: string): boolean {
  const outer = armKey(ancestor);
  const inner = armKey(scope);
  return outer === "" || inner === outer || inner.startsWith(`${outer}/`);
}

// A star between slashes may also stand for nothing: the built-in role that allows userAssignedIdentities, star, assign/action
// is what grants userAssignedIdentities/assign/action.
function matches(pattern: string, action: string): boolean {
  const source = pattern
    .toLowerCase()
    .split("/*/")
    .map((part) => part.split("*").map(escape).join(".*"))
    .join("/(?:.*/)?");
  return new RegExp(`^${source}$`).test(action.toLowerCase());
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
