import { unknownResourceDescription } from "../entra/errors.ts";
import type { WireReply } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import {
  ambiguousIdentity,
  identityError,
  identityNotFound,
  REQUIRED_HEADER,
  throttled,
  wireServerError,
} from "./replies.ts";

type Params = Readonly<Record<string, string>>;

/** Errors that a fault may name for IMDS. */
const ERRORS: Readonly<Record<string, (params: Params, state: AzureState) => WireReply>> = {
  "metadata-missing": () => identityError(400, "invalid_request", REQUIRED_HEADER),
  "identity-not-found": identityNotFound,
  "identity-ambiguous": ambiguousIdentity,
  throttled,
  "invalid-resource": (params, state) =>
    identityError(
      400,
      "invalid_resource",
      unknownResourceDescription(state, {
        resource: params["resource"] ?? "https://managements.azure.com",
        tenantId: params["tenant"] ?? state.directory.defaultTenant().id,
        now: state.clock.now(),
      }),
    ),
  updating: () => identityError(404, "not_found", "IMDS is updating"),
  gone: () => identityError(410, "gone", "IMDS is going through updates; it will be available within 70 seconds"),
  "unknown-source": (params) =>
    identityError(401, "unknown_source", `Unknown Source ${params["uri"] ?? "http://169.254.169.254"}`),
  unknown: () =>
    identityError(
      500,
      "unknown",
      "Failed to retrieve token from the Active directory. For details see logs in <file path>",
    ),
  restarting: wireServerError,
};

export const IMDS_ERROR_NAMES: readonly string[] = Object.keys(ERRORS);

export function namedImdsError(name: string, params: Params, state: AzureState): WireReply | undefined {
  return ERRORS[name]?.(params, state);
}
