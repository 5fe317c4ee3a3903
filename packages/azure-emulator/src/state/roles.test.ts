import { describe, expect, test } from "vitest";
import { isWithin, Roles } from "./roles.ts";

const GROUP = "/subscriptions/s/resourceGroups/rg";
const IDENTITY = `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1`;
const ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action";

describe("what the built-in roles allow", () => {
  test.for<[role: string, action: string, want: boolean]>([
    ["Owner", "Microsoft.Authorization/roleAssignments/write", true],
    ["Contributor", "Microsoft.Compute/virtualMachines/write", true],
    ["Contributor", ASSIGN, true],
    ["Contributor", "Microsoft.Authorization/roleAssignments/write", false],
    ["Reader", "microsoft.compute/virtualmachines/read", true],
    ["Reader", "Microsoft.Compute/virtualMachines/write", false],
    ["Virtual Machine Contributor", "Microsoft.Compute/virtualMachineScaleSets/manualupgrade/action", true],
    ["Virtual Machine Contributor", ASSIGN, false],
    ["Managed Identity Operator", ASSIGN, true],
    ["Managed Identity Operator", "Microsoft.ManagedIdentity/userAssignedIdentities/read", true],
    ["Managed Identity Operator", "Microsoft.ManagedIdentity/userAssignedIdentities/write", false],
    [
      "Managed Identity Contributor",
      "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
      true,
    ],
    ["Managed Identity Contributor", ASSIGN, false],
    ["User Access Administrator", "Microsoft.Authorization/roleAssignments/write", true],
  ])("%s: %s", ([roleName, action, want]) => {
    const roles = new Roles();
    const role = roles.definition(roleName);
    if (role === undefined) throw new Error(`${roleName} is missing`);
    roles.assign({ scope: GROUP, principalId: "p", role, now: 0 });
    expect(roles.allows("P", action, IDENTITY, 0)).toBe(want);
    expect(roles.allows("other", action, IDENTITY, 0)).toBe(false);
  });
});

test.for<[inner: string, outer: string, want: boolean]>([
  [IDENTITY, GROUP, true],
  [IDENTITY.toUpperCase(), `${GROUP}/`, true],
  [IDENTITY, "/", true],
  [GROUP, GROUP, true],
  [`${GROUP}2`, GROUP, false],
  [GROUP, IDENTITY, false],
])("%s within %s", ([inner, outer, want]) => expect(isWithin(inner, outer)).toBe(want));

test("an assignment counts from its time on, and only once", () => {
  const roles = new Roles();
  const [role] = roles.definitions;
  if (role === undefined) throw new Error("no roles");
  const first = roles.assign({ scope: GROUP, principalId: "p", role, now: 5, effectiveAt: 10 });
  expect(roles.allows("p", ASSIGN, IDENTITY, 9)).toBe(false);
  expect(roles.allows("p", ASSIGN, IDENTITY, 10)).toBe(true);
  const again = roles.assign({ scope: GROUP.toUpperCase(), principalId: "P", role: { ...role }, now: 6 });
  expect(again).toEqual({ assignment: first.assignment, existed: true });
  roles.removeAtScope("/subscriptions/s");
  expect(roles.allows("p", ASSIGN, IDENTITY, 10)).toBe(false);
});
