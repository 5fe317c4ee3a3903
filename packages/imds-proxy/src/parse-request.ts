import { headerFacts } from "./headers.ts";
import type { HeaderFacts } from "./headers.ts";
import { errorReply, METADATA_REQUIRED } from "./reply.ts";
import type { ErrorReplyOptions } from "./reply.ts";
import type { HostTokenRequest, ImdsRequest, MetadataCategory, Refusal, RefusalReason } from "./request.ts";
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
  /** Whether `/host/token` exists; default false. Who may use it is decided later. */
  readonly hostToken?: boolean;
  /** Accept `POST /metadata/scheduledevents`, by which an event of the node is approved; default false. */
  readonly approveEvents?: boolean;
}

const BLOCKED_TEXT = "Request blocked by AAD Pod Identity NMI";
/** Approvals of events are a few identifiers. */
export const MAX_BODY_BYTES = 4_096;
/** Names that Kubernetes gives pods and namespaces. */
const OBJECT_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const METADATA_REQUIRED_REFUSAL: Refusal = { kind: "refusal", reason: "metadata-header", reply: METADATA_REQUIRED };

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
  const target = read(wire.target);
  if (target.kind === "invalid") {
    return refuse(headers, "invalid-path", 400, "invalid_request", `Invalid request: ${target.why}`, { close: true });
  }
  if (target.kind === "host-token") return hostToken(wire.method, headers, target.request, rules);
  if (target.kind === "unknown-identity-path") {
    const description = "Not Found: this identity endpoint does not exist";
    return refuse(headers, "unknown-identity-path", 404, "not_found", description);
  }
  if (target.kind === "known" && target.category !== undefined && rules.blocked?.includes(target.category)) {
    return refuse(headers, "blocked", 403, "blocked", BLOCKED_TEXT);
  }
  if (headers.forwarded) return forwarded(headers);
  if (rules.metadataHeaderRequired !== false && !isTrue(headers.metadata)) {
    return headers.body
      ? { ...METADATA_REQUIRED_REFUSAL, reply: { ...METADATA_REQUIRED, close: true } }
      : METADATA_REQUIRED_REFUSAL;
  }
  if (headers.duplicate !== undefined) return duplicate(headers);
  if (target.kind === "not-found") {
    return refuse(headers, "not-found", 404, "not_found", "Not found: no metadata of the instance has this path");
  }
  if (wire.method === "POST" && target.category === "scheduledevents" && rules.approveEvents === true) {
    return approval(headers, target);
  }
  if (wire.method !== "GET") return otherMethod(headers, wire.method);
  if (headers.body) return refuse(headers, "body", 400, "invalid_request", "A request body is not accepted here");
  return target.request;
}

/** Upstream's endpoint for processes of the host: it needs no `Metadata`, but says for which pod it asks. */
function hostToken(
  method: string,
  headers: HeaderFacts,
  request: HostTokenRequest["request"] | Refusal,
  rules: RequestRules,
): ImdsRequest {
  if (rules.hostToken !== true) {
    const description = "the host token endpoint is not enabled here";
    return refuse(headers, "host-token-off", 404, "not_found", description);
  }
  if (headers.forwarded) return forwarded(headers);
  if (headers.duplicate !== undefined) return duplicate(headers);
  if (method !== "GET") return otherMethod(headers, method);
  if (headers.body) return refuse(headers, "body", 400, "invalid_request", "A request body is not accepted here");
  const { podName = "", podNamespace = "" } = headers;
  if (podName === "" || podNamespace === "") {
    const description = "missing 'podname' and 'podns' from request header";
    return refuse(headers, "missing-pod-header", 400, "invalid_request", description);
  }
  if (!OBJECT_NAME.test(podName) || !OBJECT_NAME.test(podNamespace)) {
    const description = "the headers 'podname' and 'podns' must be the name and the namespace of a pod";
    return refuse(headers, "missing-pod-header", 400, "invalid_request", description);
  }
  if (request.kind === "refusal") return request;
  return { kind: "host-token", podName, podNamespace, request };
}

function approval(headers: HeaderFacts, target: Extract<Target, { kind: "known" }>): ImdsRequest {
  const { bodyLength } = headers;
  if (bodyLength === undefined || !(bodyLength <= MAX_BODY_BYTES)) {
    const description = `the body of this request must have a Content-Length of at most ${MAX_BODY_BYTES} bytes`;
    return refuse(headers, "body", 400, "invalid_request", description);
  }
  return target.request.kind === "metadata" ? { ...target.request, method: "POST" } : target.request;
}

function forwarded(headers: HeaderFacts): Refusal {
  const description = "Requests with an X-Forwarded-For header are not served";
  return refuse(headers, "forwarded", 400, "invalid_request", description);
}

function duplicate(headers: HeaderFacts): Refusal {
  const description = `The header ${headers.duplicate} is given more than once`;
  return refuse(headers, "duplicate-header", 400, "invalid_request", description, { close: true });
}

function otherMethod(headers: HeaderFacts, method: string): Refusal {
  const description = `The method ${method} is not allowed here; use GET`;
  return refuse(headers, "method", 405, "method_not_allowed", description, { headers: { allow: "GET" } });
}

function isTrue(value: string | undefined): boolean {
  return value === "true" || value?.trim().toLowerCase() === "true";
}

function refuse(
  { body }: HeaderFacts,
  reason: RefusalReason,
  status: number,
  error: string,
  description: string,
  options: ErrorReplyOptions = {},
): Refusal {
  // An unread body must not become the next request on this connection.
  const reply = errorReply(status, error, description, { ...options, close: body || options.close === true });
  return { kind: "refusal", reason, reply };
}
