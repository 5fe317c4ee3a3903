import type { NodeGroup } from "@podid/crd-types";
import type { Arm, PatchOptions } from "../arm.ts";
import { ArmError } from "../arm-problem.ts";
import type { ArmProblem } from "../arm-problem.ts";
import { computeState } from "../compute-state.ts";
import type { ComputeState } from "../compute-state.ts";
import { hasSystemAssigned } from "../identity-type.ts";
import { MAX_ENTRIES_PER_REQUEST } from "../plan.ts";
import type { IdentityPatch } from "../plan.ts";

export interface MemoryMachine {
  type: string;
  readonly identities: Map<string, { id: string; clientId: string | undefined }>;
  provisioningState: string;
  uniqueId: string;
  revision: number;
}

/** ARM in memory: merge-patch semantics, etags, the limit of 150, unknown identities refused by name, faults on demand. */
export class MemoryArm implements Arm {
  readonly machines = new Map<string, MemoryMachine>();
  /** Lower-cased ids of the identities that exist; undefined: every one does. */
  known: Set<string> | undefined;
  readonly patches: { readonly group: string; readonly patch: IdentityPatch }[] = [];
  reads = 0;
  /** Lower-cased ids of machines that do not exist; all others do as soon as they are asked for. */
  readonly missing = new Set<string>();
  /** Runs before a PATCH takes effect; may wait, or throw. */
  beforePatch: ((group: NodeGroup, patch: IdentityPatch) => Promise<void> | void) | undefined;
  readonly #faults: { readonly call: "read" | "patch"; readonly problem: ArmProblem }[] = [];

  /** The next call of that kind fails so. */
  failNext(call: "read" | "patch", problem: ArmProblem): void {
    this.#faults.push({ call, problem });
  }

  machine(group: NodeGroup): MemoryMachine {
    let machine = this.machines.get(group.key);
    if (machine === undefined) {
      machine = {
        type: "None",
        identities: new Map(),
        provisioningState: "Succeeded",
        uniqueId: `uid-${group.name}`,
        revision: 1,
      };
      this.machines.set(group.key, machine);
    }
    return machine;
  }

  /** Attaches as somebody else would. */
  attach(group: NodeGroup, ...ids: readonly string[]): void {
    const machine = this.machine(group);
    for (const id of ids) machine.identities.set(id.toLowerCase(), { id, clientId: clientIdOf(id) });
    machine.type = hasSystemAssigned(machine.type) ? "SystemAssigned, UserAssigned" : "UserAssigned";
    machine.revision += 1;
  }

  read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState> {
    return this.#call("read", group, signal, () => {
      this.reads += 1;
      return Promise.resolve(this.#state(group));
    });
  }

  patch(group: NodeGroup, patch: IdentityPatch, { ifMatch, signal }: PatchOptions = {}): Promise<ComputeState> {
    return this.#call("patch", group, signal, async () => {
      this.patches.push({ group: group.key, patch });
      await orAborted(signal, this.beforePatch?.(group, patch));
      signal?.throwIfAborted();
      const machine = this.machine(group);
      if (ifMatch !== undefined && ifMatch !== `"${machine.revision}"`) {
        throw new ArmError({
          kind: "conflict",
          status: 412,
          code: "PreconditionFailed",
          message: `etag ${ifMatch} is not "${machine.revision}"`,
        });
      }
      this.#apply(machine, patch);
      return this.#state(group);
    });
  }

  #apply(machine: MemoryMachine, patch: IdentityPatch): void {
    const entries = Object.entries(patch.userAssignedIdentities ?? {});
    if (entries.length > MAX_ENTRIES_PER_REQUEST) {
      throw new ArmError({
        kind: "invalid",
        status: 400,
        code: "BadRequest",
        message: `'${entries.length}' Assign exceed limit '150'`,
      });
    }
    const unknown = entries
      .filter(([id, value]) => value !== null && this.known?.has(id.toLowerCase()) === false)
      .map(([id]) => id.toLowerCase());
    if (unknown.length > 0) {
      // As Azure: the first one that it stumbles over is named, not all.
      throw new ArmError({
        kind: "identities-refused",
        status: 400,
        code: "FailedIdentityOperation",
        message: `Resource '${unknown[0]}' was not found.`,
        identities: unknown.slice(0, 1),
      });
    }
    for (const [id, value] of entries) {
      const key = id.toLowerCase();
      if (value === null) machine.identities.delete(key);
      else if (!machine.identities.has(key)) machine.identities.set(key, { id, clientId: clientIdOf(id) });
    }
    if (!/userassigned/i.test(patch.type)) machine.identities.clear();
    machine.type = patch.type;
    machine.revision += 1;
  }

  #state(group: NodeGroup): ComputeState {
    const machine = this.machine(group);
    return computeState(group, {
      etag: `"${machine.revision}"`,
      uniqueId: machine.uniqueId,
      provisioningState: machine.provisioningState,
      identity: {
        type: machine.type,
        userAssignedIdentities: Object.fromEntries(
          [...machine.identities.values()].map(({ id, clientId }) => [
            id,
            clientId === undefined ? {} : { clientId, principalId: `principal-${clientId}` },
          ]),
        ),
      },
    });
  }

  async #call<T>(
    call: "read" | "patch",
    group: NodeGroup,
    signal: AbortSignal | undefined,
    action: () => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    if (this.missing.has(group.key)) {
      const message = `The Resource '${group.id}' was not found.`;
      throw new ArmError({ kind: "gone", status: 404, code: "ResourceNotFound", message });
    }
    const index = this.#faults.findIndex((fault) => fault.call === call);
    const [fault] = index < 0 ? [] : this.#faults.splice(index, 1);
    if (fault !== undefined) throw new ArmError(fault.problem);
    return await action();
  }
}

function orAborted(signal: AbortSignal | undefined, work: Promise<void> | void): Promise<void> {
  const aborted = new Promise<never>((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
  return Promise.race([Promise.resolve(work), aborted]);
}

function clientIdOf(id: string): string {
  return `client-${id.slice(id.lastIndexOf("/") + 1).toLowerCase()}`;
}
