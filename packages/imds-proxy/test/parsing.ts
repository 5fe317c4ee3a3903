import { parseRequest } from "../src/parse-request.ts";
import type { RequestRules } from "../src/parse-request.ts";
import type { ImdsRequest } from "../src/request.ts";

export const RID =
  "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/x";
export const METADATA = ["Host", "169.254.169.254", "Metadata", "true"];

export function parse(
  target: string,
  rawHeaders: readonly string[] = METADATA,
  rules?: RequestRules,
  method = "GET",
): ImdsRequest {
  return parseRequest({ method, target, rawHeaders }, rules);
}

/** What became of a request, in a word or two. */
export function status(request: ImdsRequest): string {
  return request.kind === "refusal" ? `${request.reply.status} ${request.reason}` : request.kind;
}
