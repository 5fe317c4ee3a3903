import http from "node:http";
import https from "node:https";

import { Agents } from "./agents.ts";
import type { Connection, ConnectionSource } from "./connection.ts";
import { jsonLines } from "./json-lines.ts";
import { KubeError } from "./kube-error.ts";
import { queryString, requestTarget } from "./transport.ts";
import type { KubeRequest, KubeTransport } from "./transport.ts";

const TIMEOUT_MS = 30_000;
const TCP_KEEP_ALIVE_MS = 30_000;

export interface TransportOptions {
  /** Default `podid`. */
  readonly userAgent?: string;
}

/**
 * The API server over HTTP/1.1: kept-alive, bounded connections for requests, one connection per stream.
 * A 401 makes credentials be read again, once; a kept-alive connection that the server closed under a GET is replaced, once.
 */
export function transportFromKubeConfig(config: ConnectionSource, options: TransportOptions = {}): KubeTransport {
  return new HttpTransport(config, options.userAgent ?? "podid");
}

class HttpTransport implements KubeTransport {
  readonly #source: ConnectionSource;
  readonly #server: URL;
  readonly #userAgent: string;
  readonly #agents: Agents;
  readonly #active = new Set<http.ClientRequest>();
  #closed = false;

  constructor(source: ConnectionSource, userAgent: string) {
    this.#source = source;
    this.#server = new URL(source.server);
    this.#userAgent = userAgent;
    this.#agents = new Agents(this.#server, source.proxyUrl);
  }

  async request<T = unknown>(request: KubeRequest): Promise<T> {
    const guard = new RequestGuard(request);
    try {
      const response = await this.#send(request, "request", guard);
      const text = await bodyText(response);
      if (!succeeded(response)) throw refusal(request, response, text);
      if (text === "") return undefined as T;
      return parseJson(text, request) as T;
    } catch (error) {
      throw guard.explain(error);
    } finally {
      guard.release();
    }
  }

  async stream(request: KubeRequest): Promise<AsyncIterable<unknown>> {
    const guard = new RequestGuard(request);
    try {
      const response = await this.#send(request, "stream", guard);
      if (!succeeded(response)) throw refusal(request, response, await bodyText(response));
      guard.clearTimeout();
      response.once("close", () => guard.release());
      return streamValues(response, guard);
    } catch (error) {
      guard.release();
      throw guard.explain(error);
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const active of this.#active) active.destroy(new Error("the transport was closed"));
    this.#agents.close();
    return Promise.resolve();
  }

  async #send(request: KubeRequest, use: "request" | "stream", guard: RequestGuard): Promise<http.IncomingMessage> {
    let connection = await this.#source.connection({ refresh: false });
    let response = await this.#attempt(request, use, guard, connection);
    if (response.statusCode !== 401) return response;
    const before = JSON.stringify(connection);
    connection = await this.#source.connection({ refresh: true });
    if (JSON.stringify(connection) === before) return response;
    response.resume();
    response = await this.#attempt(request, use, guard, connection);
    return response;
  }

  async #attempt(
    request: KubeRequest,
    use: "request" | "stream",
    guard: RequestGuard,
    connection: Connection,
  ): Promise<http.IncomingMessage> {
    try {
      return await this.#once(request, use, guard, connection);
    } catch (error) {
      if (!(error instanceof StaleSocketError) || request.method !== "GET") throw error;
      return await this.#once(request, use, guard, connection);
    }
  }

  #once(
    request: KubeRequest,
    use: "request" | "stream",
    guard: RequestGuard,
    connection: Connection,
  ): Promise<http.IncomingMessage> {
    if (this.#closed) throw new Error("the transport is closed");
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const query = queryString(request.query);
    const url = new URL(this.#server);
    url.pathname = url.pathname.replace(/\/$/, "") + request.path;
    url.search = query;
    const headers: http.OutgoingHttpHeaders = {
      accept: "application/json",
      "user-agent": this.#userAgent,
      ...(connection.headers as http.OutgoingHttpHeaders),
      ...(body === undefined
        ? {}
        : { "content-type": request.contentType ?? "application/json", "content-length": body.length }),
    };
    return new Promise((resolve, reject) => {
      const secure = url.protocol === "https:";
      const sent = (secure ? https : http).request(url, {
        method: request.method,
        headers,
        agent: this.#agents.for(use, connection.tls),
      });
      this.#active.add(sent);
      guard.watch(sent);
      sent.once("socket", (socket) => {
        socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
        const send = (): void => {
          try {
            request.beforeSend?.();
          } catch (reason) {
            sent.destroy(new WithheldError(reason));
            return;
          }
          sent.end(body);
        };
        if (socket.connecting) socket.once(secure ? "secureConnect" : "connect", send);
        else send();
      });
      sent.once("close", () => this.#active.delete(sent));
      sent.once("response", resolve);
      sent.once("error", (cause: NodeJS.ErrnoException) => {
        const stale = sent.reusedSocket && (cause.code === "ECONNRESET" || cause.code === "EPIPE");
        reject(stale ? new StaleSocketError(cause.message, { cause }) : cause);
      });
    });
  }
}

/** The caller took the request back before anything of it was sent. */
class WithheldError extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super("withheld");
    this.reason = reason;
  }
}

/** A kept-alive socket that the server had closed already. */
class StaleSocketError extends Error {}

/** Caller's abort and time-out of one request, over all its attempts. */
class RequestGuard {
  readonly #request: KubeRequest;
  readonly #timer: NodeJS.Timeout;
  #sent: http.ClientRequest | undefined;
  #timedOut = false;

  constructor(request: KubeRequest) {
    this.#request = request;
    const ms = request.timeoutMs ?? TIMEOUT_MS;
    this.#timer = setTimeout(() => {
      this.#timedOut = true;
      this.#sent?.destroy(new Error("timed out"));
    }, ms);
    request.signal?.addEventListener("abort", this.#abort, { once: true });
  }

  watch(sent: http.ClientRequest): void {
    this.#sent = sent;
    if (this.#request.signal?.aborted) this.#abort();
  }

  clearTimeout(): void {
    clearTimeout(this.#timer);
  }

  release(): void {
    clearTimeout(this.#timer);
    this.#request.signal?.removeEventListener("abort", this.#abort);
  }

  explain(error: unknown): unknown {
    const { signal, timeoutMs = TIMEOUT_MS } = this.#request;
    if (signal?.aborted) return signal.reason;
    if (error instanceof KubeError) return error;
    if (error instanceof WithheldError) return error.reason;
    const request = `${this.#request.method} ${requestTarget(this.#request)}`;
    if (this.#timedOut)
      return new KubeError(`${request}: no complete answer within ${timeoutMs} ms`, {
        status: 0,
        reason: "Timeout",
        cause: error,
      });
    const message = error instanceof AggregateError ? error.errors.map(String).join("; ") : (error as Error).message;
    return new KubeError(`${request}: ${message}`, { status: 0, reason: "NetworkError", cause: error });
  }

  readonly #abort = (): void => {
    this.#sent?.destroy(new Error("aborted by the caller"));
  };
}

async function* streamValues(
  response: http.IncomingMessage,
  guard: RequestGuard,
): AsyncGenerator<unknown, void, undefined> {
  try {
    yield* jsonLines(response);
  } catch (error) {
    throw guard.explain(error);
  } finally {
    response.destroy();
  }
}

function succeeded(response: http.IncomingMessage): boolean {
  return response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 300;
}

async function bodyText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string, request: KubeRequest): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const what = `${request.method} ${requestTarget(request)}`;
    throw new KubeError(`${what}: the answer is no JSON; is this a Kubernetes API server?`, {
      status: 0,
      reason: "MalformedAnswer",
      cause,
    });
  }
}

function refusal(request: KubeRequest, response: http.IncomingMessage, text: string): KubeError {
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's text stays text.
  }
  return KubeError.fromStatus(body, {
    status: response.statusCode ?? 0,
    request: `${request.method} ${requestTarget(request)}`,
    retryAfterMs: retryAfter(response.headers["retry-after"]),
  });
}

/** Seconds or an HTTP date (RFC 9110 §10.2.3). */
function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
