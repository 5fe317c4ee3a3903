import type { IncomingMessage } from "node:http";

/** A request with its whole body. */
export interface WireRequest {
  readonly method: string;
  /** Request target as sent. */
  readonly url: string;
  /** Path without the query, still encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  /** Host header, lower-cased, with its port. */
  readonly host: string;
  readonly peer: string;
  readonly body: string;
}

/** An answer, header by header in the order it is sent. */
export interface WireReply {
  readonly status: number;
  /** Reason phrase; default: the standard one. */
  readonly reason?: string;
  readonly headers: readonly (readonly [name: string, value: string | readonly string[]])[];
  readonly body: string;
}

const BODY_LIMIT = 4 * 1024 * 1024;

/** @throws Error when the body is larger than 4 MiB or the client goes away. */
export async function readRequest(message: IncomingMessage): Promise<WireRequest> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new Error(`request body is larger than ${BODY_LIMIT} bytes; send a smaller one`);
    chunks.push(chunk);
  }
  const url = message.url ?? "/";
  const mark = url.indexOf("?");
  return {
    method: message.method ?? "GET",
    url,
    path: mark < 0 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1)),
    headers: message.headers,
    host: (message.headers.host ?? "").toLowerCase(),
    peer: `${message.socket.remoteAddress ?? "?"}:${message.socket.remotePort ?? 0}`,
    body: Buffer.concat(chunks).toString("utf8"),
  };
}

/** The value of a parameter, whose name is compared exactly. Empty counts as absent. */
export function parameter(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name);
  return value === null || value === "" ? undefined : value;
}
