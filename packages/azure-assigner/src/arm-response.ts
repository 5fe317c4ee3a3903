import type { ArmProblem } from "./arm-problem.ts";
import { refusedIdentities } from "./refused-identities.ts";
import { parseRetryAfter } from "./retry-after.ts";

/** An ARM answer that is not a success: of a request, or of an operation that failed later (then with the status of the poll). */
export interface ArmFailure {
  readonly status: number;
  header(name: string): string | undefined;
  /** Parsed JSON, or text, or nothing. */
  readonly body: unknown;
}

interface ErrorBody {
  readonly code: string;
  readonly message: string;
}

/** Retry-After of ARM's throttling when it names none: its buckets refill within that time. */
const DEFAULT_THROTTLE_MS = 10_000;

const CONFLICTS = new Set([
  "conflict",
  "operationpreempted",
  "preconditionfailed",
  "anotheroperationinprogress",
  "operationcanceled",
]);
const REFUSALS = new Set(["linkedauthorizationfailed", "failedidentityoperation", "invalididentityvalues"]);

/** Reads every error shape that ARM, the compute provider and the identity provider are known to use. */
export function armProblem(failure: ArmFailure, now: number): ArmProblem {
  const { status } = failure;
  const { code, message } = errorBody(failure.body, status);
  const lower = code.toLowerCase();
  const retryAfterMs = parseRetryAfter(failure.header("retry-after"), now);
  const common = { status, code, message, ...(retryAfterMs !== undefined && { retryAfterMs }) };

  const inner = innerStatus(message);
  if (lower === "failedidentityoperation" && inner !== undefined) {
    if (inner.status === "429" || inner.status.toLowerCase() === "toomanyrequests") {
      return {
        ...common,
        kind: "throttled",
        scope: "identities",
        retryAfterMs: retryAfterMs ?? inner.retryAfterMs ?? DEFAULT_THROTTLE_MS,
      };
    }
    if (inner.status.toLowerCase() === "conflict") return { ...common, kind: "conflict" };
    if (/^(499|5\d\d|internalservererror|serviceunavailable|gatewaytimeout)$/i.test(inner.status))
      return { ...common, kind: "unavailable" };
  }
  if (REFUSALS.has(lower))
    return { ...common, kind: "identities-refused", identities: named(message, inner?.response) };
  if (status === 429 || lower === "toomanyrequests") {
    const scope = lower === "subscriptionrequeststhrottled" ? "subscription" : "machine";
    return { ...common, kind: "throttled", scope, retryAfterMs: retryAfterMs ?? DEFAULT_THROTTLE_MS };
  }
  if (/marked for deletion/i.test(message)) return { ...common, kind: "deleting" };
  if (status === 409 || status === 412 || CONFLICTS.has(lower)) return { ...common, kind: "conflict" };
  if (status === 404) return { ...common, kind: "gone" };
  if (status === 401) return { ...common, kind: "unauthenticated" };
  if (status === 403) return { ...common, kind: "forbidden" };
  // Below 400: an operation that was accepted and failed later for a reason of its own.
  if (status < 400 || status === 408 || status >= 500) return { ...common, kind: "unavailable" };
  return { ...common, kind: "invalid" };
}

function errorBody(body: unknown, status: number): ErrorBody {
  if (typeof body === "object" && body !== null) {
    const outer = body as { error?: unknown };
    const error: object = typeof outer.error === "object" && outer.error !== null ? outer.error : outer;
    const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
    const message = "message" in error && typeof error.message === "string" ? error.message : undefined;
    if (code !== undefined || message !== undefined) return { code: code ?? `Http${status}`, message: message ?? "" };
  }
  const text = typeof body === "string" ? body.trim().slice(0, 500) : "";
  return { code: `Http${status}`, message: text === "" ? `ARM answered ${status} without an explanation` : text };
}

/** The compute provider wraps what the identity provider answered: `Status: 'X'. Response: '{json}'`. */
function innerStatus(message: string): { status: string; response: string; retryAfterMs?: number } | undefined {
  const match = /Status: '([^']+)'\. Response: '(.*)$/s.exec(message);
  if (match === null) return undefined;
  const [, status = "", response = ""] = match;
  const seconds = /retry after (\d+) seconds/i.exec(response)?.[1];
  return { status, response, ...(seconds !== undefined && { retryAfterMs: Number(seconds) * 1000 }) };
}

/** In a wrapped answer only the inner part is about identities; the outer one names the machine. */
function named(message: string, response: string | undefined): string[] {
  const inner = response === undefined ? [] : refusedIdentities(response);
  return inner.length > 0 ? inner : refusedIdentities(message);
}
