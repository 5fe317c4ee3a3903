import type { ArmProblem } from "./arm-problem.ts";
import type { ComputeState } from "./compute-state.ts";

/** The machine is being deleted; upstream's words, with and without the quotes. */
export function deletingProblem({ group }: ComputeState): ArmProblem {
  const what = group.kind === "virtualMachine" ? "vm is in 'Deleting'" : "vmss is in Deleting";
  return {
    kind: "deleting",
    status: 200,
    code: "Deleting",
    message: `failed to update identities for ${group.name} in ${group.resourceGroup}, ${what} provisioning state`,
  };
}

/** Another's operation runs on the machine. */
export function updatingProblem({ group }: ComputeState): ArmProblem {
  return { kind: "updating", status: 200, code: "Updating", message: `${group.id} is in Updating provisioning state` };
}
