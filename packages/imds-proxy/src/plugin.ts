import type { FastifyHttpOptions, FastifyPluginCallback, FastifyReply, FastifyRequest } from "fastify";
import fp from "fastify-plugin";
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { normalizeAddress } from "./address.ts";
import type { ImdsForwarder } from "./imds-forwarder.ts";
import { parseRequest } from "./parse-request.ts";
import type { RequestRules } from "./parse-request.ts";
import { remembered } from "./remembered.ts";
import { errorReply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { ImdsRequest, RefusalReason } from "./request.ts";
import { readTarget } from "./target.ts";
import type { Target } from "./target.ts";
import type { TokenFacts } from "./token-result.ts";
import type { TokenService } from "./token-service.ts";

/** One answered request; for metrics and the access log. Holds no token and nothing of the query but what the parse understood. */
export interface Exchange {
  readonly request: ImdsRequest;
  readonly method: string;
  /** As sent, without the query. */
  readonly path: string;
  readonly remote: string;
  readonly status: number;
  readonly durationMs: number;
  /** Of token requests that got past the parse. */
  readonly facts?: TokenFacts;
  readonly refused?: RefusalReason;
}

export interface ImdsProxyOptions {
  readonly tokens: TokenService;
  readonly forwarder: ImdsForwarder;
  readonly rules?: RequestRules;
  /** Called after each answer; must not throw. */
  readonly observe?: (exchange: Exchange) => void;
  /** Every answer closes its connection when this returns true. */
  readonly closing?: () => boolean;
  /** Told of exceptions, which are bugs; the client hears only that there was one. */
  readonly onError?: (error: unknown) => void;
}

const FAILED = errorReply(500, "internal_error", "the node agent failed to answer; its log says why", {
  retryAfterSeconds: 1,
});
const HOST_TOKEN_OFF = errorReply(404, "not_found", "the host token endpoint is not enabled on this node");

/**
 * Server options that the plugin depends on. Fastify's router decodes, normalises and answers on its own; here every
 * request goes to one route, whatever its target, and only the canonical parse reads it. Limits are IMDS-sized.
 */
export function imdsServerOptions(): FastifyHttpOptions<Server> {
  return {
    rewriteUrl: () => "/",
    exposeHeadRoutes: false,
    logger: false,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    bodyLimit: 1_024,
    connectionTimeout: 0,
    keepAliveTimeout: 65_000,
    requestTimeout: 15_000,
    handlerTimeout: 0,
    http: {
      maxHeaderSize: 16_384,
      headersTimeout: 10_000,
      connectionsCheckingInterval: 5_000,
      requireHostHeader: false,
      joinDuplicateHeaders: false,
    },
    clientErrorHandler,
  };
}

const plugin: FastifyPluginCallback<ImdsProxyOptions> = (fastify, options, done) => {
  fastify.removeAllContentTypeParsers();
  // Bodies are refused by the parse; nobody reads them.
  fastify.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null));
  const read = remembered(readTarget);
  const handler = (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> | FastifyReply =>
    answer(options, read, request, reply);
  fastify.all("/", handler);
  fastify.setNotFoundHandler(handler);
  fastify.setErrorHandler((error, _request, reply) => {
    options.onError?.(error);
    send(reply, FAILED, true);
  });
  done();
};

/** Serves the metadata endpoint. Register it on a server made with {@link imdsServerOptions}. */
export const imdsProxy = fp(plugin, { name: "@podid/imds-proxy", fastify: "5.x" });

function answer(
  options: ImdsProxyOptions,
  read: (target: string) => Target,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> | FastifyReply {
  const startedMs = performance.now();
  const raw = request.raw;
  const target = request.originalUrl;
  const remote = raw.socket.remoteAddress ?? "";
  const parsed = parseRequest({ method: request.method, target, rawHeaders: raw.rawHeaders }, options.rules, read);

  const finish = (result: Reply, facts?: TokenFacts): FastifyReply => {
    send(reply, result, options.closing?.() === true);
    const mark = target.indexOf("?");
    options.observe?.({
      request: parsed,
      method: request.method,
      path: mark < 0 ? target : target.slice(0, mark),
      remote,
      status: result.status,
      durationMs: performance.now() - startedMs,
      ...(facts === undefined ? {} : { facts }),
      ...(parsed.kind === "refusal" ? { refused: parsed.reason } : {}),
    });
    return reply;
  };

  switch (parsed.kind) {
    case "refusal":
      return finish(parsed.reply);
    case "host-token":
      return finish(HOST_TOKEN_OFF);
    case "metadata":
      return options.forwarder
        .forward(parsed, normalizeAddress(remote), goneSignal(reply))
        .then((result) => finish(result));
    case "token": {
      const call = {
        request: parsed,
        address: normalizeAddress(remote),
        connection: raw.socket,
        gone: () => goneSignal(reply),
      };
      const result = options.tokens.handle(call);
      if (!(result instanceof Promise)) return finish(result.reply, result.facts);
      return result.then(({ reply: answered, facts }) => finish(answered, facts));
    }
  }
}

function send(reply: FastifyReply, result: Reply, closing: boolean): void {
  reply.code(result.status).headers(result.headers);
  if (closing || result.close === true) reply.header("connection", "close");
  reply.send(result.body);
}

/** Aborts when the client goes before it has its answer. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const { raw } = reply;
  if (raw.destroyed) controller.abort();
  else raw.once("close", () => (raw.writableFinished ? undefined : controller.abort()));
  return controller.signal;
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout"],
};

/** What Node's parser refused never becomes a request; it still gets a JSON answer, and the connection ends. */
function clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, phrase] = CLIENT_ERRORS[error.code ?? ""] ?? [400, "Bad Request"];
  const { headers, body } = errorReply(status, "invalid_request", `Invalid request: ${phrase}`);
  const head = `HTTP/1.1 ${status} ${phrase}\r\nContent-Type: ${headers["content-type"]}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
  socket.end(head + body, () => socket.destroy());
}
