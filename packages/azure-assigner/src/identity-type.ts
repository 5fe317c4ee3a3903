/** `identity.type` of a VM or scale set in ARM's own spelling. */
export type IdentityKind = "None" | "SystemAssigned" | "UserAssigned" | "SystemAssigned, UserAssigned";

/** Whether the machine has a system-assigned identity. ARM accepts and returns the type in any casing, with or without the blank. */
export function hasSystemAssigned(type: string | undefined): boolean {
  return /(^|,)\s*systemassigned\s*(,|$)/i.test(type ?? "");
}

/** The type for a machine with these identities; the only place where a type is chosen, so that the system-assigned one cannot be lost. */
export function identityKind(systemAssigned: boolean, userAssigned: number): IdentityKind {
  if (userAssigned > 0) return systemAssigned ? "SystemAssigned, UserAssigned" : "UserAssigned";
  return systemAssigned ? "SystemAssigned" : "None";
}
