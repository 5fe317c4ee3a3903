import { ComputeManagementClient } from "@azure/arm-compute";
import type { TokenCredential } from "@azure/core-auth";
import type { NodeGroup } from "@podid/crd-types";
import type { Arm, FollowOptions, MachineScope, PatchOptions } from "../arm.ts";
import { ArmError } from "../arm-problem.ts";
import { elapsedMs, sleep, systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { computeState } from "../compute-state.ts";
import type { ComputeBody, ComputeState } from "../compute-state.ts";
import { machineGroup } from "../machine-group.ts";
import type { IdentityPatch } from "../plan.ts";
import { DEFAULT_POLL_SCHEDULE, pollDelay } from "../poll-schedule.ts";
import type { PollSchedule } from "../poll-schedule.ts";
import { apiVersionPolicy } from "./api-version-policy.ts";
import { clientOptions } from "./client-options.ts";
import type { ArmClientOptions } from "./client-options.ts";
import { withDeadline } from "./deadline.ts";
import { OperationFollower } from "./operation-follower.ts";
import { answerNotes, responsePolicy } from "./response-policy.ts";
import type { AnswerNotes } from "./response-policy.ts";
import { asArmError } from "./transport-error.ts";

export interface AzureArmOptions extends ArmClientOptions {
  /** Compute API version to use instead of the SDK's; sovereign clouds lag behind. */
  readonly apiVersion?: string;
  readonly pollSchedule?: PollSchedule;
  /** How long one request may take, 90 s by default: a PATCH that ARM takes a minute to accept is slow, not lost. */
  readonly requestTimeoutMs?: number;
  readonly clock?: Clock;
}

const REQUEST_TIMEOUT_MS = 90_000;

/** Azure Resource Manager through the official compute client. */
export class AzureArm implements Arm {
  readonly #credential: TokenCredential;
  readonly #options: AzureArmOptions;
  readonly #clock: Clock;
  readonly #follower: OperationFollower;
  readonly #clients = new Map<string, ComputeManagementClient>();

  constructor(credential: TokenCredential, options: AzureArmOptions = {}) {
    this.#credential = credential;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#follower = new OperationFollower(clientOptions(options).options.endpoint);
  }

  async read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState> {
    const client = this.#client(group);
    const machine = await this.#request(signal, (abortSignal) =>
      group.kind === "virtualMachine"
        ? client.virtualMachines.get(group.resourceGroup, group.name, { abortSignal })
        : client.virtualMachineScaleSets.get(group.resourceGroup, group.name, { abortSignal }),
    );
    return computeState(group, machine);
  }

  async list(scope: MachineScope, { signal, beforePoll }: FollowOptions = {}): Promise<readonly ComputeState[]> {
    const client = this.#client(scope);
    const options = signal === undefined ? {} : { abortSignal: signal };
    const pages: AsyncIterator<readonly (ComputeBody & { readonly name?: string })[]> = (
      scope.kind === "virtualMachine"
        ? client.virtualMachines.list(scope.resourceGroup, options)
        : client.virtualMachineScaleSets.list(scope.resourceGroup, options)
    ).byPage();
    const states: ComputeState[] = [];
    for (;;) {
      // The SDK binds a page's request to the signal of the whole list: a page that takes too long is left behind.
      const page = await this.#request(signal, (limited) => orAborted(limited, pages.next()));
      if (page.done === true) return states;
      for (const machine of page.value)
        if (machine.name !== undefined) states.push(computeState(machineGroup(scope, machine.name), machine));
      await beforePoll?.(signal);
    }
  }

  async patch(
    group: NodeGroup,
    patch: IdentityPatch,
    { ifMatch, signal, beforePoll, onAccepted }: PatchOptions = {},
  ): Promise<ComputeState> {
    const client = this.#client(group);
    // The SDK's type of the map has no null, although ARM needs one to remove and the serializer passes it on.
    const body = {
      identity: patch as { type: IdentityPatch["type"]; userAssignedIdentities?: Record<string, object> },
    };
    const notes: AnswerNotes = {};
    const [update] = await this.#request(signal, (abortSignal) =>
      // The SDK sends the request as soon as it makes the poller.
      answerNotes.run(notes, async () => {
        const options = { ...(ifMatch !== undefined && { ifMatch }), abortSignal };
        const update =
          group.kind === "virtualMachine"
            ? client.virtualMachines.update(group.resourceGroup, group.name, body, options)
            : client.virtualMachineScaleSets.update(group.resourceGroup, group.name, body, options);
        await update.submitted();
        // Not the poller itself: it is thenable, and waiting for it would be waiting for the operation.
        return [update] as const;
      }),
    );
    if (notes.operation !== undefined && this.#follower.accepts(notes.operation, group.subscriptionId))
      onAccepted?.(notes.operation);
    await this.#follow(
      notes,
      { signal, beforePoll },
      async (abortSignal) => {
        if (!update.isDone) await update.poll({ abortSignal });
        return update.isDone;
      },
      () => update.isDone,
    );
    return computeState(group, update.result as ComputeBody);
  }

  async resume(group: NodeGroup, operation: string, options: FollowOptions = {}): Promise<ComputeState> {
    if (!this.#follower.accepts(operation, group.subscriptionId)) {
      const message = `${JSON.stringify(operation.slice(0, 200))} is no operation of this ARM`;
      throw new ArmError({ kind: "invalid", status: 0, code: "ForeignOperation", message });
    }
    const { pipeline } = this.#client(group);
    await this.#follow({}, options, (signal) => this.#follower.isDone(pipeline, operation, signal));
    return await this.read(group, options.signal);
  }

  /** Looks again and again on a schedule of our own: the SDK's interval is fixed, and one failed look is not the end of an operation. */
  async #follow(
    notes: AnswerNotes,
    { signal, beforePoll }: FollowOptions,
    look: (signal: AbortSignal) => Promise<boolean>,
    isDone: () => boolean = () => false,
  ): Promise<void> {
    const schedule = this.#options.pollSchedule ?? DEFAULT_POLL_SCHEDULE;
    const startedAt = elapsedMs(this.#clock);
    let done = isDone();
    for (let attempt = 0; !done; attempt += 1) {
      await sleep(this.#clock, pollDelay(schedule, attempt, notes.retryAfterMs), signal);
      delete notes.retryAfterMs;
      await beforePoll?.(signal);
      try {
        done = await this.#request(signal, (abortSignal) => answerNotes.run(notes, () => look(abortSignal)));
      } catch (error) {
        if (!(error instanceof ArmError) || !isTransient(error)) throw error;
        if (error.problem.retryAfterMs !== undefined) notes.retryAfterMs = error.problem.retryAfterMs;
      }
      if (!done && elapsedMs(this.#clock) - startedAt > schedule.deadlineMs) {
        throw new ArmError({
          kind: "unavailable",
          status: 0,
          code: "OperationTimeout",
          message: `the operation was still running after ${Math.round(schedule.deadlineMs / 1000)} s`,
        });
      }
    }
  }

  #request<T>(signal: AbortSignal | undefined, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = this.#options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    return withDeadline(limit, signal, (limited) => asArmError(limited, () => call(limited)));
  }

  #client({ subscriptionId }: Pick<NodeGroup, "subscriptionId">): ComputeManagementClient {
    const subscription = subscriptionId;
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

function orAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
  return Promise.race([work, aborted]);
}

/** Of a poll: the operation goes on even though we could not ask. A failed operation itself answers 200 and is never one of these but for a conflict. */
function isTransient({ problem }: ArmError): boolean {
  return problem.kind === "unavailable"
    ? problem.status === 0 || problem.status >= 408
    : problem.kind === "throttled" && problem.status === 429;
}
