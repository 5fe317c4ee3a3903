import type { NodeGroup } from "@podid/crd-types";
import type { ComputeState } from "./compute-state.ts";
import type { IdentityPatch } from "./plan.ts";

export interface PatchOptions {
  /** Only if the machine still has this etag. */
  readonly ifMatch?: string | undefined;
  /** Stops waiting; what ARM has accepted goes on. */
  readonly signal?: AbortSignal | undefined;
}

/** Azure Resource Manager as the assigner needs it. */
export interface Arm {
  /** @throws {ArmError} */
  read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState>;
  /**
   * Changes the identities and waits until the operation has ended; the answer is the machine's state after it.
   * @throws {ArmError} also when the operation was accepted and failed later
   */
  patch(group: NodeGroup, patch: IdentityPatch, options?: PatchOptions): Promise<ComputeState>;
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
