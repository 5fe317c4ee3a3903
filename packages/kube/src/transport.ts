/** One request to the API server. */
export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Absolute path, already escaped, without query. */
  readonly path: string;
  /** Entries that are `undefined` are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`; a patch names its own. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** For `request` until the whole answer is there, for `stream` until its headers are. Default 30 000. */
  readonly timeoutMs?: number | undefined;
  /** Asked at the last moment, when a connection is ready to take the request; what it throws keeps it from being sent, and is thrown. */
  readonly beforeSend?: (() => void) | undefined;
}

/**
 * The port to a Kubernetes API server. Everything in this package talks through it.
 *
 * Both methods reject with {@link KubeError}, except that an aborted `signal` rejects with the signal's reason.
 */
export interface KubeTransport {
  /** The parsed JSON answer; `undefined` for an empty one. */
  request<T = unknown>(request: KubeRequest): Promise<T>;
  /** Parsed JSON lines of a watch. Ends when the server closes; throws when the connection breaks. Leaving the loop closes it. */
  stream(request: KubeRequest): Promise<AsyncIterable<unknown>>;
  /** Ends idle and running requests. */
  close(): Promise<void>;
}

/** Structured log in pino's shape. Nothing secret is ever passed to it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Path and sorted query of a request, for messages. */
export function requestTarget(request: KubeRequest): string {
  const query = queryString(request.query);
  return query === "" ? request.path : `${request.path}?${query}`;
}

export function queryString(query: KubeRequest["query"]): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) pairs.append(name, String(value));
  return pairs.toString();
}
