import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { normalizeAddress } from "./address.ts";
import { readApproval } from "./event-approval.ts";
import { hostTokenReply, isFromHost, NOT_FROM_HOST } from "./host-token.ts";
import type { ImdsForwarder } from "./imds-forwarder.ts";
import { ImdsError } from "./imds-client.ts";
import { parseRequest } from "./parse-request.ts";
import type { RequestRules } from "./parse-request.ts";
import { remembered } from "./remembered.ts";
import { errorReply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { HostTokenRequest, ImdsRequest, MetadataRequest, RefusalReason, TokenRequest } from "./request.ts";
import { sendReply } from "./send-reply.ts";
import { readTarget } from "./target.ts";
import type { TokenFacts } from "./token-result.ts";
import type { TokenService } from "./token-service.ts";

/** One answered request; for metrics, logs and audit. Holds no token and nothing of the query but what the parse understood. */
export interface Exchange {
  readonly request: ImdsRequest;
  readonly method: string;
  /** As sent, without the query. */
  readonly path: string;
  readonly remote: string;
  readonly status: number;
  readonly durationMs: number;
  /** Of token requests that got past the parse. */
  readonly facts?: TokenFacts | undefined;
  readonly refused?: RefusalReason | undefined;
  /** Why an answer of IMDS broke off after it had begun. */
  readonly broken?: string | undefined;
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
  /** Who may use the host token endpoint; default: {@link isFromHost}. */
  readonly isFromHost?: (request: IncomingMessage) => boolean;
  /** Serve the host token endpoint and nothing else. */
  readonly onlyHostTokens?: boolean;
}

/** Answers one request; returns at once and never throws. For `node:http`. */
export type ImdsListener = (request: IncomingMessage, response: ServerResponse) => void;

const FAILED = errorReply(500, "internal_error", "the node agent failed to answer; its log says why", {
  retryAfterSeconds: 1,
  close: true,
});
const ONLY_HOST_TOKENS = errorReply(404, "not_found", "only /host/token is served here");
const BAD_APPROVAL = errorReply(
  400,
  "invalid_request",
  'the body must be {"StartRequests":[{"EventId":"..."}]} and nothing else',
  { close: true },
);

/** Connections whose last answer has been given. What a client has sent behind it is not acted upon (RFC 9112 §9.6). */
const ended = new WeakSet<Socket>();

/**
 * The metadata endpoint as a listener of `node:http`. A token that is cached and every refusal are answered before this
 * returns: no promise, no router, and header lines that were made once.
 */
export function imdsListener(options: ImdsProxyOptions): ImdsListener {
  const read = remembered(readTarget);
  return (request, response) => {
    // Only a response that waits for its turn has no socket yet.
    if (response.socket === null && ended.has(request.socket)) return;
    const exchange = new Pending(options, request, response);
    try {
      const { method = "", url = "", rawHeaders } = request;
      exchange.answer(parseRequest({ method, target: url, rawHeaders }, options.rules, read));
    } catch (error) {
      exchange.fail(error);
    }
  };
}

/** One request on its way to its answer. */
class Pending {
  readonly #startedMs = performance.now();
  readonly #options: ImdsProxyOptions;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(options: ImdsProxyOptions, request: IncomingMessage, response: ServerResponse) {
    this.#options = options;
    this.#request = request;
    this.#response = response;
  }

  answer(parsed: ImdsRequest): void {
    if (this.#options.onlyHostTokens === true && parsed.kind !== "host-token" && parsed.kind !== "refusal") {
      return this.#finish(parsed, ONLY_HOST_TOKENS, undefined, "not-found");
    }
    switch (parsed.kind) {
      case "refusal":
        return this.#finish(parsed, parsed.reply, undefined, parsed.reason);
      case "token":
        return this.#token(parsed, parsed);
      case "host-token": {
        const mayAsk = this.#options.isFromHost?.(this.#request) ?? isFromHost(this.#request.socket);
        return mayAsk
          ? this.#token(parsed, parsed.request)
          : this.#finish(parsed, NOT_FROM_HOST, undefined, "not-from-host");
      }
      case "metadata":
        this.#metadata(parsed).catch((error: unknown) => this.fail(error));
    }
  }

  fail(error: unknown): void {
    this.#options.onError?.(error);
    if (this.#response.headersSent) this.#response.destroy();
    else sendReply(this.#response, FAILED, true);
  }

  #token(parsed: TokenRequest | HostTokenRequest, request: TokenRequest): void {
    const { socket } = this.#request;
    const isHost = parsed.kind === "host-token";
    const result = this.#options.tokens.handle({
      request,
      address: normalizeAddress(socket.remoteAddress ?? ""),
      connection: socket,
      gone: () => goneSignal(this.#response),
      ...(isHost ? { pod: { namespace: parsed.podNamespace, name: parsed.podName } } : {}),
    });
    if (!(result instanceof Promise)) {
      return this.#finish(parsed, isHost ? hostTokenReply(result) : result.reply, result.facts);
    }
    result
      .then((late) => this.#finish(parsed, isHost ? hostTokenReply(late) : late.reply, late.facts))
      .catch((error: unknown) => this.fail(error));
  }

  async #metadata(parsed: MetadataRequest): Promise<void> {
    const body = parsed.method === "POST" ? await readApproval(this.#request) : undefined;
    if (parsed.method === "POST" && body === undefined) return this.#finish(parsed, BAD_APPROVAL, undefined, "body");
    let instead: Reply | undefined;
    try {
      instead = await this.#relay(parsed, body);
    } catch (error) {
      if (!(error instanceof ImdsError)) throw error;
      this.#response.destroy();
      return this.#observe(parsed, this.#response.statusCode, undefined, undefined, error.message);
    }
    if (instead !== undefined) return this.#finish(parsed, instead);
    this.#response.end();
    this.#observe(parsed, this.#response.statusCode);
  }

  #relay(parsed: MetadataRequest, body: string | undefined): Promise<Reply | undefined> {
    const response = this.#response;
    return this.#options.forwarder.relay(
      parsed,
      normalizeAddress(this.#request.socket.remoteAddress ?? ""),
      {
        head: ({ status, contentType, retryAfter }) =>
          response.writeHead(status, {
            ...(contentType === undefined ? {} : { "content-type": contentType }),
            ...(retryAfter === undefined ? {} : { "retry-after": retryAfter }),
            ...(this.#isClosing() ? { connection: "close" } : {}),
          }),
        chunk: (bytes) => void response.write(bytes),
      },
      goneSignal(response),
      body,
    );
  }

  #finish(parsed: ImdsRequest, reply: Reply, facts?: TokenFacts, refused?: RefusalReason): void {
    const closing = this.#isClosing();
    if (closing || reply.close === true) ended.add(this.#request.socket);
    sendReply(this.#response, reply, closing);
    this.#observe(parsed, reply.status, facts, refused);
  }

  #isClosing(): boolean {
    return this.#options.closing?.() === true;
  }

  #observe(request: ImdsRequest, status: number, facts?: TokenFacts, refused?: RefusalReason, broken?: string): void {
    const { observe } = this.#options;
    if (observe === undefined) return;
    const { method = "", url = "", socket } = this.#request;
    const mark = url.indexOf("?");
    observe({
      request,
      method,
      path: mark < 0 ? url : url.slice(0, mark),
      remote: socket.remoteAddress ?? "",
      status,
      durationMs: performance.now() - this.#startedMs,
      facts,
      refused,
      broken,
    });
  }
}

/** Aborts when the client goes before it has its answer. */
function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  if (response.destroyed) controller.abort();
  else response.once("close", () => (response.writableFinished ? undefined : controller.abort()));
  return controller.signal;
}
