import { objectOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import type { ArmError, Caller } from "./errors.ts";
import * as errors from "./errors.ts";

/** What a named error may fill its texts from: the request it answers, overridden by the fault's `params`. */
export interface ErrorContext {
  readonly caller: Caller;
  readonly action: string;
  /** ARM id of the resource, or the scope of a list. */
  readonly resourceId: string;
  /** Ids in the request's identity map. */
  readonly identityIds: readonly string[];
  readonly subscriptionId: string;
  readonly now: number;
}

type Make = (context: ErrorContext) => ArmError;

const nameOf = (id: string): string => id.slice(id.lastIndexOf("/") + 1);
const isScaleSet = (context: ErrorContext): boolean => /virtualmachinescalesets/i.test(context.resourceId);
const firstIdentity = (context: ErrorContext): string => context.identityIds[0] ?? "<identityId>";

/** Errors that a fault may name for ARM. Those that Azure gives the same code to are told apart by a suffix. */
const ERRORS: Readonly<Record<string, Make>> = {
  AuthorizationFailed: (c) => errors.authorizationFailed(c.caller, c.action, c.resourceId),
  LinkedAuthorizationFailed: (c) => errors.linkedAuthorizationFailed(c.caller, c.action, c.resourceId, c.identityIds),
  FailedIdentityOperation: (c) => errors.identityMissing(c.resourceId, firstIdentity(c)),
  "FailedIdentityOperation.Throttled": (c) => errors.identityThrottled(c.resourceId),
  "FailedIdentityOperation.Conflict": (c) => errors.identityConflict(c.resourceId),
  "FailedIdentityOperation.499": (c) => errors.identityClosed(c.resourceId),
  "FailedIdentityOperation.Limit": (c) => errors.tooManyIdentities(c.resourceId, Math.max(151, c.identityIds.length)),
  "InvalidParameter.Duplicate": (c) => errors.duplicateIdentity(firstIdentity(c)),
  "InvalidParameter.NotAllowed": () => errors.identityIdsNotAllowed("SystemAssigned"),
  InvalidRequestFormat: errors.identityMapNotAllowed,
  InvalidRequestContent: errors.identityTypeMissing,
  InvalidIdentityValues: (c) => errors.invalidIdentityValues(firstIdentity(c)),
  MissingIdentityIds: () => errors.identityIdsMissing("UserAssigned"),
  ResourceNotFound: (c) => {
    const [, group = "", , type = "", name = ""] =
      /\/resourcegroups\/([^/]+)\/providers\/(([^/]+\/[^/]+))\/([^/]+)/i.exec(c.resourceId) ?? [];
    return errors.resourceNotFound(type, name, group);
  },
  Conflict: errors.conflict,
  OperationNotAllowed: (c) =>
    errors.markedForDeletion(isScaleSet(c) ? "virtualMachineScaleSet" : "virtualMachine", nameOf(c.resourceId)),
  PreconditionFailed: () => errors.etagMismatch('"2"', '"3"'),
  SubscriptionRequestsThrottled: (c) =>
    errors.subscriptionThrottled(kindOf(c.action), c.subscriptionId, c.caller.clientId, 10),
  TooManyRequests: (c) =>
    errors.computeThrottled({
      group: "HighCostGet30Min",
      now: c.now,
      windowMs: 1_800_000,
      allowed: 800,
      measured: 1238,
      retryAfterS: 1200,
    }),
  InternalServerError: errors.internalError,
  ServerTimeout: errors.serverTimeout,
  GatewayTimeout: errors.gatewayTimeout,
};

export const ARM_ERROR_NAMES: readonly string[] = Object.keys(ERRORS);

export function namedArmError(name: string, context: ErrorContext): ArmError | undefined {
  return ERRORS[name]?.(context);
}

/** The keys of a request body's identity map. */
export function identityIdsOf(body: string): readonly string[] {
  try {
    const { identity } = objectOf(JSON.parse(body) as JsonObject);
    return Object.keys(objectOf(objectOf(identity)["userAssignedIdentities"]));
  } catch {
    return [];
  }
}

export function kindOf(action: string): "read" | "write" | "delete" {
  if (action.endsWith("/read")) return "read";
  return action.endsWith("/delete") ? "delete" : "write";
}
