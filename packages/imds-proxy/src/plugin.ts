import type { FastifyHttpOptions, FastifyPluginCallback, FastifyReply, FastifyRequest } from "fastify";
import fp from "fastify-plugin";
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { imdsListener } from "./listener.ts";
import type { ImdsProxyOptions } from "./listener.ts";
import { errorReply } from "./reply.ts";

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
  const listener = imdsListener(options);
  fastify.removeAllContentTypeParsers();
  // Bodies are refused by the parse, or read by the listener.
  fastify.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null));
  const handler = (request: FastifyRequest, reply: FastifyReply): void => {
    reply.hijack();
    request.raw.url = request.originalUrl;
    listener(request.raw, reply.raw);
  };
  fastify.all("/", handler);
  fastify.setNotFoundHandler(handler);
  // Nothing of Fastify's router or hooks is of use here, so requests do not pass through it: the server's own listener
  // answers them. What the handlers above serve is `inject`, and servers that Fastify makes for further addresses.
  fastify.server.removeAllListeners("request");
  fastify.server.on("request", listener);
  done();
};

/** Serves the metadata endpoint. Register it on a server made with {@link imdsServerOptions}; it takes all of its requests. */
export const imdsProxy = fp(plugin, { name: "@podid/imds-proxy", fastify: "5.x" });

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
