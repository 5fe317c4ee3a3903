import type { Exchange } from "../http/gate.ts";
import type { WireReply, WireRequest } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { AuthenticatedCaller } from "./authentication.ts";
import type { ArmError } from "./errors.ts";
import type { ArmTarget } from "./target.ts";
import type { Throttle } from "./throttle.ts";

/** Everything a handler may look at. Authentication and the role for the action are checked already. */
export interface ArmContext {
  readonly state: AzureState;
  readonly request: WireRequest;
  readonly target: ArmTarget;
  readonly caller: AuthenticatedCaller;
  /** RBAC action, in its official casing. */
  readonly action: string;
  readonly apiVersion: string;
  readonly exchange: Exchange;
  readonly throttle: Throttle;
  readonly now: number;
  /** Whether the caller holds a role for another action or scope. */
  allows(action: string, scope: string): boolean;
}

export type ArmOutcome = WireReply | { readonly error: ArmError };

export interface ArmRoute {
  readonly method: "GET" | "HEAD" | "PUT" | "PATCH" | "DELETE" | "POST";
  /** In its official casing, e.g. `Microsoft.Compute/virtualMachines`. */
  readonly type: string;
  /** As in {@link ArmTarget.shape}. */
  readonly shape: string;
  /** Which provider's habits the answers follow. */
  readonly style: "compute" | "arm";
  /** Any valid token will do, and the handler filters for itself. */
  readonly open?: boolean;
  /** The first api-version that knows the type. */
  readonly since: string;
  handle(context: ArmContext): ArmOutcome | Promise<ArmOutcome>;
}
