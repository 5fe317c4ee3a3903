/** What the API server said when it refused (a `Status` object's fields), or what went wrong on the way to it. */
export interface KubeErrorOptions {
  /** HTTP status, 0 when no answer came. */
  readonly status: number;
  /** `Status.reason` such as `Conflict`; `NetworkError`, `Timeout` or `MalformedAnswer` when status is 0. */
  readonly reason: string;
  readonly retryAfterMs?: number | undefined;
  readonly details?: unknown;
  readonly cause?: unknown;
}

/** Every failure of a request to the API server: each answer outside 2xx, and network errors with `status` 0. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  /** HTTP status, or 0 when no complete answer came. */
  readonly status: number;
  /** Machine-readable: `NotFound`, `AlreadyExists`, `Conflict`, `Expired`, `TooManyRequests`, `NetworkError`, `Timeout`, … */
  readonly reason: string;
  /** How long the server asked to wait, from `Retry-After` or `details.retryAfterSeconds`. */
  readonly retryAfterMs: number | undefined;
  /** `Status.details`: kind, name, causes. */
  readonly details: unknown;

  constructor(message: string, options: KubeErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
    this.reason = options.reason;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }

  /** True when `error` is an answer of the API server with one of these HTTP statuses. */
  static is(error: unknown, ...statuses: readonly number[]): error is KubeError {
    return error instanceof KubeError && statuses.includes(error.status);
  }

  /** From a `Status` object: the body of a refusal, or the object of an `ERROR` watch event. */
  static fromStatus(
    body: unknown,
    fallback: { status: number; request: string; retryAfterMs?: number | undefined },
  ): KubeError {
    const status = isStatus(body) ? body : undefined;
    const code = fallback.status || (typeof status?.code === "number" ? status.code : 500);
    const said = status?.message ?? (typeof body === "string" ? body.trim().slice(0, 500) : "");
    const seconds = status?.details?.retryAfterSeconds;
    return new KubeError(`${fallback.request}: ${code}${said ? ` ${said}` : ""}`, {
      status: code,
      reason: status?.reason ?? REASONS[code] ?? "Unknown",
      retryAfterMs: fallback.retryAfterMs ?? (typeof seconds === "number" ? seconds * 1000 : undefined),
      details: status?.details,
    });
  }
}

interface Status {
  readonly kind: "Status";
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

function isStatus(body: unknown): body is Status {
  return typeof body === "object" && body !== null && (body as { kind?: unknown }).kind === "Status";
}

// metav1.StatusReason of answers whose body is no Status (proxies, overload in front of the API server).
const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  410: "Expired",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};
