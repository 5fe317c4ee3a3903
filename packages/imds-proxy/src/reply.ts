/** A complete answer to one HTTP request; the body is sent exactly as it stands here. */
export interface Reply {
  readonly status: number;
  /** Lower-case names. Content-Length and Date are the server's. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Close the connection after this answer. */
  readonly close?: boolean;
}

/** What IMDS sends with its token answers and errors. */
export const JSON_TYPE = "application/json; charset=utf-8";

export interface ErrorReplyOptions {
  /** Whole seconds. Keep it small: azcore clients sleep exactly that long (1 to 3 suits all of them). */
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly close?: boolean;
}

/**
 * An error in the one shape that every SDK can show: a JSON object with `error` and `error_description`.
 * Text bodies make az CLI crash and stop msal-node from retrying.
 */
export function errorReply(status: number, error: string, description: string, options: ErrorReplyOptions = {}): Reply {
  return {
    status,
    headers: {
      "content-type": JSON_TYPE,
      ...(options.retryAfterSeconds === undefined ? {} : { "retry-after": String(options.retryAfterSeconds) }),
      ...options.headers,
    },
    body: JSON.stringify({ error, error_description: description }),
    ...(options.close ? { close: true } : {}),
  };
}

/** IMDS's answer to a request without `Metadata: true`: 88 bytes that SDK probes look for. */
export const METADATA_REQUIRED: Reply = errorReply(400, "invalid_request", "Required metadata header not specified");
