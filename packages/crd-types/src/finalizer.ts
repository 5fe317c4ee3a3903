import { ASSIGNED_IDENTITY_FINALIZER } from "./constants.ts";

/** The finalizers of an AzureAssignedIdentity once its identity is released: all but MIC's own. */
export function withoutFinalizer(finalizers: readonly string[] | undefined): string[] {
  return (finalizers ?? []).filter((finalizer) => finalizer !== ASSIGNED_IDENTITY_FINALIZER);
}
