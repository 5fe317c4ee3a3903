import type { FastifyHttpOptions, FastifyPluginCallback, FastifyReply, FastifyRequest } from "fastify";
import fp from "fastify-plugin";
import type { Server } from "node:http";
import { answerClientError, KEEP_ALIVE_MS, PARSER_LIMITS, REQUEST_TIMEOUT_MS } from "./imds-server.ts";
import { imdsListener } from "./listener.ts";
import type { ImdsProxyOptions } from "./listener.ts";

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
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    handlerTimeout: 0,
    http: { ...PARSER_LIMITS },
    clientErrorHandler: answerClientError,
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
  fastify.server.on("request", listener).on("checkExpectation", listener);
  done();
};

/** Serves the metadata endpoint. Register it on a server made with {@link imdsServerOptions}; it takes all of its requests. */
export const imdsProxy = fp(plugin, { name: "@podid/imds-proxy", fastify: "5.x" });
