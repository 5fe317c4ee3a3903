import { ArmError } from "@podid/azure-assigner";
import type {
  Arm,
  ComputeState,
  FollowOptions,
  IdentityPatch,
  MachineScope,
  PatchOptions,
} from "@podid/azure-assigner";
import type { NodeGroup } from "@podid/crd-types";
import type { AssignmentTraces } from "./assignment-traces.ts";
import type { CloudOperation, MicMetrics } from "./metrics.ts";

/** Counts and times every ARM call, under upstream's operation names where upstream has such a call. */
export class MeteredArm implements Arm {
  readonly #arm: Arm;
  readonly #metrics: MicMetrics;
  readonly #traces: AssignmentTraces | undefined;

  constructor(arm: Arm, metrics: MicMetrics, traces?: AssignmentTraces) {
    this.#arm = arm;
    this.#metrics = metrics;
    this.#traces = traces;
  }

  read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState> {
    return this.#measure(group, "get", () => this.#arm.read(group, signal));
  }

  list(scope: MachineScope, options?: FollowOptions): Promise<readonly ComputeState[]> {
    return this.#measure(scope, "list", () => this.#arm.list(scope, options));
  }

  patch(group: NodeGroup, patch: IdentityPatch, options?: PatchOptions): Promise<ComputeState> {
    return this.#measure(group, "update", () => this.#arm.patch(group, patch, options));
  }

  resume(group: NodeGroup, operation: string, options?: FollowOptions): Promise<ComputeState> {
    return this.#measure(group, "resume", () => this.#arm.resume(group, operation, options));
  }

  async #measure<T>(
    { kind, key }: Pick<NodeGroup, "kind"> & Partial<Pick<NodeGroup, "key">>,
    what: "get" | "list" | "update" | "resume",
    call: () => Promise<T>,
  ): Promise<T> {
    const machine = kind === "virtualMachine" ? "vm" : "vmss";
    const counted = async (): Promise<T> => {
      try {
        const name = `arm ${machine}_${what}`;
        const result = await (this.#traces?.call(name, key, call) ?? call());
        this.#metrics.armCalled(`${machine}_${what}`, "success");
        return result;
      } catch (error) {
        this.#metrics.armCalled(`${machine}_${what}`, error instanceof ArmError ? error.problem.kind : "aborted");
        throw error;
      }
    };
    if (what === "list" || what === "resume") return await counted();
    const operation: CloudOperation = `${machine}_${what}`;
    return await this.#metrics.timeCloud(operation, counted);
  }
}
