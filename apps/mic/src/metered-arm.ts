import type { Arm, ComputeState, IdentityPatch, PatchOptions } from "@podid/azure-assigner";
import type { NodeGroup } from "@podid/crd-types";
import type { MicMetrics } from "./metrics.ts";

/** Counts and times every ARM call under upstream's operation names. */
export class MeteredArm implements Arm {
  readonly #arm: Arm;
  readonly #metrics: MicMetrics;

  constructor(arm: Arm, metrics: MicMetrics) {
    this.#arm = arm;
    this.#metrics = metrics;
  }

  read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState> {
    const operation = group.kind === "virtualMachine" ? "vm_get" : "vmss_get";
    return this.#metrics.timeCloud(operation, () => this.#arm.read(group, signal));
  }

  patch(group: NodeGroup, patch: IdentityPatch, options?: PatchOptions): Promise<ComputeState> {
    const operation = group.kind === "virtualMachine" ? "vm_update" : "vmss_update";
    return this.#metrics.timeCloud(operation, () => this.#arm.patch(group, patch, options));
  }
}
