import { headerFacts } from "./headers.ts";
import { errorReply, METADATA_REQUIRED } from "./reply.ts";
import type { ErrorReplyOptions, Reply } from "./reply.ts";
import type { ImdsRequest, MetadataCategory, Refusal, RefusalReason } from "./request.ts";
import { readTarget } from "./target.ts";
import type { Target } from "./target.ts";

/** A request as it came off the wire. */
export interface WireRequest {
  readonly method: string;
  /** The request target, undecoded. */
  readonly target: string;
  /** Names and values in turn, as Node's `rawHeaders`. */
  readonly rawHeaders: readonly string[];
}

export interface RequestRules {
  /** Refuse requests without `Metadata: true`; default true. */
  readonly metadataHeaderRequired?: boolean;
  /** Categories that answer 403. Upstream's `--block-instance-metadata` is `["instance"]`. */
  readonly blocked?: readonly MetadataCategory[];
}

const BLOCKED_TEXT = "Request blocked by AAD Pod Identity NMI";

/**
 * The one parse of a request: what it returns is all that anybody acts upon, and what is forwarded is written anew
 * from it. Checks in the order of real IMDS: path grammar (400), unknown identity path (404, whatever the headers),
 * blocked category (403), X-Forwarded-For (400), Metadata (400), then method, body and parameters. Never throws.
 *
 * @param read a server may pass `readTarget` with a memory
 */
export function parseRequest(
  wire: WireRequest,
  rules: RequestRules = {},
  read: (target: string) => Target = readTarget,
): ImdsRequest {
  const headers = headerFacts(wire.rawHeaders);
  const refuse = (
    reason: RefusalReason,
    status: number,
    error: string,
    description: string,
    options: ErrorReplyOptions = {},
  ): Refusal =>
    // An unread body must not become the next request on this connection.
    refusal(
      reason,
      errorReply(status, error, description, { ...options, close: headers.body || options.close === true }),
    );

  const target = read(wire.target);
  if (target.kind === "invalid") {
    return refuse("invalid-path", 400, "invalid_request", `Invalid request: ${target.why}`, { close: true });
  }
  if (target.kind === "host-token") return { kind: "host-token" };
  if (target.kind === "unknown-identity-path") {
    return refuse("unknown-identity-path", 404, "not_found", "Not Found: this identity endpoint does not exist");
  }
  if (target.kind === "known" && target.category !== undefined && rules.blocked?.includes(target.category)) {
    return refuse("blocked", 403, "blocked", BLOCKED_TEXT);
  }
  if (headers.forwarded) {
    return refuse("forwarded", 400, "invalid_request", "Requests with an X-Forwarded-For header are not served");
  }
  if (rules.metadataHeaderRequired !== false && headers.metadata[0]?.trim().toLowerCase() !== "true") {
    return headers.body
      ? refusal("metadata-header", { ...METADATA_REQUIRED, close: true })
      : refusal("metadata-header", METADATA_REQUIRED);
  }
  if (headers.metadata.length > 1 || headers.hosts > 1) {
    const name = headers.hosts > 1 ? "Host" : "Metadata";
    return refuse("duplicate-header", 400, "invalid_request", `The header ${name} is given more than once`, {
      close: true,
    });
  }
  if (target.kind === "not-found") {
    return refuse("not-found", 404, "not_found", "Not found: no metadata of the instance has this path");
  }
  if (wire.method !== "GET") {
    const description = `The method ${wire.method} is not allowed here; use GET`;
    return refuse("method", 405, "method_not_allowed", description, { headers: { allow: "GET" } });
  }
  if (headers.body) return refuse("body", 400, "invalid_request", "A request body is not accepted here");
  return target.request;
}

function refusal(reason: RefusalReason, reply: Reply): Refusal {
  return { kind: "refusal", reason, reply };
}
