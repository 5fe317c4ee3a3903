import { ComputeManagementClient } from "@azure/arm-compute";
import type { TokenCredential } from "@azure/core-auth";
import type { NodeGroup } from "@podid/crd-types";
import type { Arm, PatchOptions } from "../arm.ts";
import { ArmError } from "../arm-problem.ts";
import { sleep, systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { computeState } from "../compute-state.ts";
import type { ComputeBody, ComputeState } from "../compute-state.ts";
import type { IdentityPatch } from "../plan.ts";
import { DEFAULT_POLL_SCHEDULE, pollDelay } from "../poll-schedule.ts";
import type { PollSchedule } from "../poll-schedule.ts";
import { apiVersionPolicy } from "./api-version-policy.ts";
import { clientOptions } from "./client-options.ts";
import type { ArmClientOptions } from "./client-options.ts";
import { asArmError } from "./transport-error.ts";
import { pollNotes, responsePolicy } from "./response-policy.ts";
import type { PollNotes } from "./response-policy.ts";

export interface AzureArmOptions extends ArmClientOptions {
  /** Compute API version to use instead of the SDK's; sovereign clouds lag behind. */
  readonly apiVersion?: string;
  readonly pollSchedule?: PollSchedule;
  readonly clock?: Clock;
}

type Poller =
  | ReturnType<ComputeManagementClient["virtualMachines"]["update"]>
  | ReturnType<ComputeManagementClient["virtualMachineScaleSets"]["update"]>;

/** Azure Resource Manager through the official compute client. */
export class AzureArm implements Arm {
  readonly #credential: TokenCredential;
  readonly #options: AzureArmOptions;
  readonly #clock: Clock;
  readonly #clients = new Map<string, ComputeManagementClient>();

  constructor(credential: TokenCredential, options: AzureArmOptions = {}) {
    this.#credential = credential;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  async read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState> {
    const client = this.#client(group);
    const options = signal === undefined ? {} : { abortSignal: signal };
    const machine = await asArmError(signal, () =>
      group.kind === "virtualMachine"
        ? client.virtualMachines.get(group.resourceGroup, group.name, options)
        : client.virtualMachineScaleSets.get(group.resourceGroup, group.name, options),
    );
    return computeState(group, machine);
  }

  async patch(group: NodeGroup, patch: IdentityPatch, { ifMatch, signal }: PatchOptions = {}): Promise<ComputeState> {
    const client = this.#client(group);
    const options = { ...(ifMatch !== undefined && { ifMatch }), ...(signal !== undefined && { abortSignal: signal }) };
    // The SDK's type of the map has no null, although ARM needs one to remove and the serializer passes it on.
    const body = {
      identity: patch as { type: IdentityPatch["type"]; userAssignedIdentities?: Record<string, object> },
    };
    const poller =
      group.kind === "virtualMachine"
        ? client.virtualMachines.update(group.resourceGroup, group.name, body, options)
        : client.virtualMachineScaleSets.update(group.resourceGroup, group.name, body, options);
    await asArmError(signal, () => poller.submitted());
    await this.#follow(poller, signal);
    return computeState(group, poller.result as ComputeBody);
  }

  /** Drives the SDK's poller on our own schedule: its interval is fixed, and one failed poll is not the end of an operation. */
  async #follow(poller: Poller, signal: AbortSignal | undefined): Promise<void> {
    const schedule = this.#options.pollSchedule ?? DEFAULT_POLL_SCHEDULE;
    const startedAt = this.#clock.now();
    const notes: PollNotes = {};
    for (let attempt = 0; !poller.isDone; attempt += 1) {
      await sleep(this.#clock, pollDelay(schedule, attempt, notes.retryAfterMs), signal);
      delete notes.retryAfterMs;
      try {
        await pollNotes.run(notes, () =>
          asArmError(signal, () => poller.poll(signal === undefined ? {} : { abortSignal: signal })),
        );
      } catch (error) {
        if (!(error instanceof ArmError) || !isTransient(error)) throw error;
        if (error.problem.retryAfterMs !== undefined) notes.retryAfterMs = error.problem.retryAfterMs;
      }
      if (!poller.isDone && this.#clock.now() - startedAt > schedule.deadlineMs) {
        throw new ArmError({
          kind: "unavailable",
          status: 0,
          code: "OperationTimeout",
          message: `the operation was still running after ${Math.round(schedule.deadlineMs / 1000)} s`,
        });
      }
    }
  }

  #client(group: NodeGroup): ComputeManagementClient {
    const subscription = group.subscriptionId;
    let client = this.#clients.get(subscription);
    if (client === undefined) {
      const { scope, options } = clientOptions(this.#options);
      client = new ComputeManagementClient(this.#credential, subscription, {
        ...options,
        credentials: { scopes: [scope] },
      });
      client.pipeline.addPolicy(responsePolicy(() => this.#clock.now()));
      if (this.#options.apiVersion !== undefined) {
        client.pipeline.addPolicy(apiVersionPolicy(this.#options.apiVersion));
      }
      this.#clients.set(subscription, client);
    }
    return client;
  }
}

/** Of a poll: the operation goes on even though we could not ask. A failed operation itself answers 200 and is never one of these but for a conflict. */
function isTransient({ problem }: ArmError): boolean {
  return problem.kind === "unavailable"
    ? problem.status === 0 || problem.status >= 408
    : problem.kind === "throttled" && problem.status === 429;
}
