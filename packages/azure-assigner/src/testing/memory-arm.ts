import type { NodeGroup } from "@podid/crd-types";
import type { Arm, FollowOptions, MachineScope, PatchOptions } from "../arm.ts";
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
  lists = 0;
  /** Lower-cased ids of machines that do not exist; all others do as soon as they are asked for. */
  readonly missing = new Set<string>();
  /** Runs before a PATCH takes effect; may wait, or throw. */
  beforePatch: ((group: NodeGroup, patch: IdentityPatch) => Promise<void> | void) | undefined;
  /** Runs once ARM has accepted a PATCH; what is added has no client id, and the machine is Updating, until it resolves. */
  whileRunning: ((group: NodeGroup, patch: IdentityPatch) => Promise<void>) | undefined;
  /** By name: each resolves when the operation has ended. */
  readonly operations = new Map<string, Promise<void>>();
  /** Names of the operations that were resumed. */
  readonly resumed: string[] = [];
  /** What a request is refused for: identities that others may not assign, by lower-cased id. ARM then names all ids of the request. */
  readonly unassignable = new Set<string>();
  /** Machines do not tell their etag, and nobody may ask for one. */
  withoutEtags = false;
  readonly #groups = new Map<string, NodeGroup>();
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
      this.#groups.set(group.key, group);
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

  list(
    { kind, subscriptionId, resourceGroup }: MachineScope,
    { signal }: FollowOptions = {},
  ): Promise<readonly ComputeState[]> {
    signal?.throwIfAborted();
    this.lists += 1;
    const groups = [...this.#groups.values()].filter(
      (group) =>
        group.kind === kind &&
        group.subscriptionId.toLowerCase() === subscriptionId.toLowerCase() &&
        group.resourceGroup.toLowerCase() === resourceGroup.toLowerCase() &&
        !this.missing.has(group.key),
    );
    return Promise.resolve(groups.map((group) => this.#state(group)));
  }

  async resume(group: NodeGroup, operation: string, { signal }: FollowOptions = {}): Promise<ComputeState> {
    signal?.throwIfAborted();
    const running = this.operations.get(operation);
    if (running === undefined) {
      const message = `The operation '${operation}' was not found.`;
      throw new ArmError({ kind: "gone", status: 404, code: "NotFound", message });
    }
    this.resumed.push(operation);
    await orAborted(signal, running);
    return this.#state(group);
  }

  patch(
    group: NodeGroup,
    patch: IdentityPatch,
    { ifMatch, signal, onAccepted }: PatchOptions = {},
  ): Promise<ComputeState> {
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
      const operation = `operation-${this.operations.size + 1}`;
      const running = this.#run(machine, () => this.whileRunning?.(group, patch));
      this.operations.set(operation, running);
      onAccepted?.(operation);
      await orAborted(signal, running);
      return this.#state(group);
    });
  }

  async #run(machine: MemoryMachine, work: () => Promise<void> | undefined): Promise<void> {
    const running = work();
    if (running === undefined) return;
    const before = machine.provisioningState;
    machine.provisioningState = "Updating";
    await running;
    machine.provisioningState = before;
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
    const added = entries.filter(([, value]) => value !== null).map(([id]) => id.toLowerCase());
    if (added.some((key) => this.unassignable.has(key))) {
      const identities = entries.map(([id]) => id.toLowerCase());
      const message = `it does not have permission to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) '${identities.join(",")}'`;
      throw new ArmError({
        kind: "identities-refused",
        status: 403,
        code: "LinkedAuthorizationFailed",
        message,
        identities,
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
      ...(!this.withoutEtags && { etag: `"${machine.revision}"` }),
      uniqueId: machine.uniqueId,
      provisioningState: machine.provisioningState,
      identity: {
        type: machine.type,
        userAssignedIdentities: Object.fromEntries(
          [...machine.identities.values()].map(({ id, clientId }) => [
            id,
            clientId === undefined || (machine.provisioningState === "Updating" && this.whileRunning !== undefined)
              ? {}
              : { clientId, principalId: `principal-${clientId}` },
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
