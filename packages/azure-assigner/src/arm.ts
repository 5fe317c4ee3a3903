import type { NodeGroup } from "@podid/crd-types";
import type { ArmProblem } from "./arm-problem.ts";
import type { ComputeState } from "./compute-state.ts";
import type { IdentityPatch } from "./plan.ts";

export interface FollowOptions {
  /** Stops waiting; what ARM has accepted goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Awaited before each look at a running operation. */
  readonly beforePoll?: ((signal?: AbortSignal) => Promise<void>) | undefined;
}

export interface PatchOptions extends FollowOptions {
  /** Only if the machine still has this etag. */
  readonly ifMatch?: string | undefined;
  /** Told once ARM has accepted the request and works on it: what {@link Arm.resume} takes. */
  readonly onAccepted?: ((operation: string) => void) | undefined;
}

/** All machines of one kind in one resource group. */
export type MachineScope = Pick<NodeGroup, "kind" | "subscriptionId" | "resourceGroup">;

/** Azure Resource Manager as the assigner needs it. */
export interface Arm {
  /** @throws {ArmError} */
  read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState>;
  /** All that there are, in any order; `beforePoll` is awaited before each further page. @throws {ArmError} `gone` without such a resource group */
  list(scope: MachineScope, options?: FollowOptions): Promise<readonly ComputeState[]>;
  /**
   * Changes the identities and waits until the operation has ended; the answer is the machine's state after it.
   * @throws {ArmError} also when the operation was accepted and failed later
   */
  patch(group: NodeGroup, patch: IdentityPatch, options?: PatchOptions): Promise<ComputeState>;
  /**
   * Waits for an operation that a former process began, and returns the machine's state after it.
   * @throws {ArmError} as {@link patch} does; `gone` when ARM does not know the operation any more, `invalid` when it is none of this ARM
   */
  resume(group: NodeGroup, operation: string, options?: FollowOptions): Promise<ComputeState>;
}

/** Whether a PATCH may be sent; `waitedMs` tells how old the caller's picture has become. `later`: only to who is not patient. */
export type WriteTurn =
  | { readonly kind: "go"; readonly waitedMs: number }
  | { readonly kind: "later"; readonly retryAfterMs: number }
  | { readonly kind: "refused"; readonly problem: ArmProblem };

export interface TurnOptions {
  /** How many PATCHes of the group's budget to leave to more important ones. */
  readonly spare?: number;
  /** Waits for the group's budget, the default; otherwise is told how long that would be. */
  readonly patient?: boolean;
  readonly signal?: AbortSignal;
}

/** Grants PATCHes. Asked before one is written down, so that nothing is recorded that is not sent. */
export interface WriteGate {
  /**
   * Waits for its turn. A grant must be used by one PATCH or given back by {@link leave}.
   * @throws the signal's reason
   */
  enter(group: NodeGroup, options?: TurnOptions): Promise<WriteTurn>;
  leave(group: NodeGroup): void;
}

/** What the identity resource provider knows of an identity. */
export interface IdentityFacts {
  readonly clientId: string;
  readonly principalId: string;
  readonly tenantId: string;
}

/** The identity resource provider. */
export interface IdentityDirectory {
  /** @returns undefined when there is no such identity. @throws {ArmError} */
  find(resourceId: string, signal?: AbortSignal): Promise<IdentityFacts | undefined>;
}
