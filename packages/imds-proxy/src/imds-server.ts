import { createServer } from "node:http";
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { imdsListener } from "./listener.ts";
import type { ImdsProxyOptions } from "./listener.ts";
import { errorReply } from "./reply.ts";

/** IMDS-sized limits of the server's parser, whoever makes the server. */
export const PARSER_LIMITS = {
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
  requireHostHeader: false,
  joinDuplicateHeaders: false,
} as const;
/** For a request as a whole. */
export const REQUEST_TIMEOUT_MS = 15_000;
/** Longer than the pauses of clients that keep their connections, so that it is they who end them. */
export const KEEP_ALIVE_MS = 65_000;

/** A server of `node:http` that is the metadata endpoint, and nothing else. Listening and closing are the caller's. */
export function imdsServer(options: ImdsProxyOptions): Server {
  const listener = imdsListener(options);
  const server = createServer(
    { ...PARSER_LIMITS, requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS },
    listener,
  );
  // Node would refuse an expectation that it does not know without a word; a server may as well not mind (RFC 9110 §10.1.1).
  return server.on("checkExpectation", listener).on("clientError", answerClientError);
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout"],
};

/** What Node's parser refused never becomes a request; it still gets a JSON answer, and the connection ends. */
export function answerClientError(
  error: NodeJS.ErrnoException,
  socket: Pick<Socket, "writable" | "destroy" | "end">,
): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, phrase] = CLIENT_ERRORS[error.code ?? ""] ?? [400, "Bad Request"];
  const { headers, body } = errorReply(status, "invalid_request", `Invalid request: ${phrase}`);
  const head = `HTTP/1.1 ${status} ${phrase}\r\nContent-Type: ${headers["content-type"]}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
  socket.end(head + body, () => socket.destroy());
}
