import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import { delay } from "../clock.ts";
import type { ActiveFault, Fault, RequestFacts, ServiceName } from "../faults.ts";
import { objectOf, stringOf, textOf } from "../json.ts";
import type { RequestLog } from "../request-log.ts";
import { withoutSecrets } from "../request-log.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { WireReply, WireRequest } from "./wire.ts";
import { resetConnection } from "./listener.ts";
import { readRequest } from "./wire.ts";

/** What a service learns about a request beside the request itself. */
export interface Exchange {
  readonly facts: RequestFacts;
  /** The faults that struck; a service looks here for what an ARM operation is to do. */
  readonly faults: readonly Fault[];
  /** Set by the service: whose client id the log is to show. */
  caller?: string | undefined;
}

/** One of the emulated services, as the gate drives it. */
export interface Service {
  readonly name: ServiceName;
  describe(request: WireRequest): RequestFacts;
  /** Before any delay: refuses at once, or returns what to do when the request is over. */
  admit?(request: WireRequest, facts: RequestFacts): WireReply | (() => void);
  answer(request: WireRequest, exchange: Exchange): Promise<WireReply>;
  /** The error that a fault names; undefined when there is none of this name. */
  namedError(
    name: string,
    params: Readonly<Record<string, string>>,
    request: WireRequest,
    facts: RequestFacts,
  ): WireReply | undefined;
}

/** Logs, delays and breaks requests on their way to a service. */
export class Gate {
  readonly #state: AzureState;
  readonly #log: RequestLog;
  readonly #clock: Clock;

  constructor(o: { state: AzureState; log: RequestLog; clock: Clock }) {
    this.#state = o.state;
    this.#log = o.log;
    this.#clock = o.clock;
  }

  async serve(service: Service, message: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    let request: WireRequest;
    try {
      request = await readRequest(message);
    } catch {
      response.destroy();
      return;
    }
    const facts = service.describe(request);
    const struck = this.#state.faults.strike(facts);
    const exchange: Exchange = { facts, faults: struck.map(({ fault }) => fault) };
    const arrived = this.#clock.now();
    const end = this.#log.begin({
      ...facts,
      time: arrived,
      host: request.host,
      peer: request.peer,
      url: withoutSecrets(request.url),
      userAgent: stringOf(request.headers["user-agent"]) ?? "",
      faults: struck.map(({ id }) => id),
    });
    let reply: WireReply | "none" | "reset" = "none";
    try {
      reply = await this.#answer(service, request, exchange, struck, gone.signal);
    } catch (error) {
      reply = brokenReply(error);
    } finally {
      const sent = typeof reply === "object" && !response.destroyed ? reply : undefined;
      if (sent !== undefined) send(response, message, sent);
      else if (reply === "reset") resetConnection(message.socket);
      else response.destroy();
      end({
        status: sent?.status ?? 0,
        durationMs: this.#clock.now() - arrived,
        caller: exchange.caller,
        error: sent === undefined || sent.status < 400 ? undefined : errorCode(sent.body),
      });
    }
  }

  async #answer(
    service: Service,
    request: WireRequest,
    exchange: Exchange,
    struck: readonly ActiveFault[],
    gone: AbortSignal,
  ): Promise<WireReply | "none" | "reset"> {
    const admission = service.admit?.(request, exchange.facts);
    if (typeof admission === "object") return admission;
    try {
      const wait = struck.reduce(
        (sum, { fault }) => sum + (fault.delayMs ?? 0),
        this.#state.settings.latencyMs[service.name],
      );
      await delay(this.#clock, wait, gone);
      if (gone.aborted) return "none";
      for (const { fault } of struck) {
        if (fault.hang === true) {
          await new Promise<void>((resolve) => gone.addEventListener("abort", () => resolve()));
          return "none";
        }
        if (fault.reset === true) return "reset";
        if (fault.respond !== undefined) return scriptedReply(fault.respond);
        if (fault.error === undefined) continue;
        const named = service.namedError(fault.error, fault.params ?? {}, request, exchange.facts);
        if (named !== undefined) return named;
        throw new Error(
          `fault names error "${fault.error}", which ${service.name} does not have; see the README's tables`,
        );
      }
      return await service.answer(request, exchange);
    } finally {
      admission?.();
    }
  }
}

function scriptedReply(respond: NonNullable<Fault["respond"]>): WireReply {
  const text = typeof respond.body === "string";
  const body = textOf(respond.body);
  const headers = Object.entries(respond.headers ?? {});
  const typed = headers.some(([name]) => name.toLowerCase() === "content-type");
  const type = text ? "text/plain; charset=utf-8" : "application/json; charset=utf-8";
  return {
    status: respond.status,
    headers: typed || body === "" ? headers : [["Content-Type", type], ...headers],
    body,
    ...(respond.reason === undefined ? {} : { reason: respond.reason }),
  };
}

/** Says what is wrong with the emulator or the fault itself, with a status no Azure service sends. */
function brokenReply(error: unknown): WireReply {
  const message = error instanceof Error ? error.message : String(error);
  return {
    status: 599,
    reason: "Emulator Error",
    headers: [["Content-Type", "application/json; charset=utf-8"]],
    body: JSON.stringify({ error: "emulator_error", error_description: message }),
  };
}

function send(response: ServerResponse, message: IncomingMessage, reply: WireReply): void {
  // Azure's front ends announce no keep-alive to HTTP/1.1 clients; they just keep the connection.
  if (message.httpVersion === "1.1" && response.shouldKeepAlive) response.removeHeader("connection");
  response.sendDate = true;
  for (const [name, value] of reply.headers) response.setHeader(name, typeof value === "string" ? value : [...value]);
  const bodyless = reply.status === 204 || reply.status === 304;
  if (!bodyless && !response.hasHeader("content-length"))
    response.setHeader("Content-Length", Buffer.byteLength(reply.body));
  // Only writeHead takes an empty reason phrase for one.
  if (reply.reason === undefined) response.writeHead(reply.status);
  else response.writeHead(reply.status, reply.reason);
  if (bodyless || message.method === "HEAD") response.end();
  else response.end(reply.body);
}

function errorCode(body: string): string | undefined {
  try {
    const { error } = objectOf(JSON.parse(body) as unknown);
    return stringOf(error) ?? stringOf(objectOf(error)["code"]);
  } catch {
    return undefined;
  }
}
