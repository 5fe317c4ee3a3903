import type { IncomingMessage, ServerResponse } from "node:http";
import type { ImdsHandle } from "../emulator.ts";
import { readRequest } from "../http/wire.ts";
import type { WireRequest } from "../http/wire.ts";
import type { LogFilter, RequestLog } from "../request-log.ts";
import { isJsonObject } from "../json.ts";
import type { AzureState } from "../state/azure-state.ts";

interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly text?: string;
}

/** The HTTP API that steers the emulator. It has no authentication: bind it to loopback. */
export class ControlService {
  readonly #state: AzureState;
  readonly #requests: RequestLog;
  readonly #caPem: string;
  readonly #startImds: (machineId: string, o: { host?: string; port?: number }) => Promise<ImdsHandle>;
  readonly #imds = new Map<string, { readonly machine: string; readonly handle: ImdsHandle }>();

  constructor(o: {
    state: AzureState;
    requests: RequestLog;
    caPem: string;
    startImds: (machineId: string, o: { host?: string; port?: number }) => Promise<ImdsHandle>;
  }) {
    this.#state = o.state;
    this.#requests = o.requests;
    this.#caPem = o.caPem;
    this.#startImds = o.startImds;
  }

  async serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.#answer(await readRequest(message));
    } catch (error) {
      answer = {
        status: 400,
        body: { error: "bad_request", error_description: error instanceof Error ? error.message : String(error) },
      };
    }
    if (response.destroyed) return;
    response.statusCode = answer.status;
    if (answer.text === undefined && answer.body === undefined) {
      response.end();
      return;
    }
    response.setHeader(
      "Content-Type",
      answer.text === undefined ? "application/json; charset=utf-8" : "text/plain; charset=utf-8",
    );
    response.end(answer.text ?? `${JSON.stringify(answer.body, null, 2)}\n`);
  }

  async #answer(request: WireRequest): Promise<Answer> {
    const [, name = "", ...rest] = request.path.split("/").map(decodeURIComponent);
    switch (`${request.method} /${name}`) {
      case "GET /healthz":
        return { status: 200, text: "ok" };
      case "GET /ca.pem":
        return { status: 200, text: this.#caPem };
      case "GET /seed":
        return { status: 200, body: this.#state.snapshot() };
      case "PUT /seed":
        this.#state.replace(json(request));
        return { status: 204 };
      case "POST /seed":
        this.#state.seed(json(request));
        return { status: 204 };
      case "GET /settings":
        return { status: 200, body: this.#state.snapshot().settings };
      case "PATCH /settings":
        this.#state.configure(json(request));
        return { status: 200, body: this.#state.snapshot().settings };
      case "GET /faults":
        return { status: 200, body: this.#state.faults.list() };
      case "POST /faults":
        return { status: 201, body: { id: this.#state.faults.add(json(request)) } };
      case "DELETE /faults":
        if (rest[0] === undefined) this.#state.faults.clear();
        else if (!this.#state.faults.remove(rest[0])) return notFound(`fault "${rest[0]}"`);
        return { status: 204 };
      case "GET /requests":
        return { status: 200, body: this.#requests.entries(logFilter(request.query)) };
      case "DELETE /requests":
        this.#requests.clear();
        return { status: 204 };
      case "POST /attachments":
      case "DELETE /attachments":
        return this.#attach(request);
      case "GET /imds":
        return {
          status: 200,
          body: [...this.#imds].map(([id, { machine, handle }]) => ({ id, machine, url: handle.url })),
        };
      case "POST /imds":
        return this.#start(request);
      case "DELETE /imds": {
        const running = this.#imds.get(rest[0] ?? "");
        if (running === undefined) return notFound(`IMDS "${rest[0] ?? ""}"`);
        this.#imds.delete(rest[0] ?? "");
        await running.handle.close();
        return { status: 204 };
      }
      default:
        return notFound(`${request.method} ${request.path}`);
    }
  }

  #attach(request: WireRequest): Answer {
    // Not every client can send a body with DELETE.
    const { machine, identity } = request.method === "POST" ? json(request) : Object.fromEntries(request.query);
    if (typeof machine !== "string" || typeof identity !== "string")
      throw new Error("attachments: give the ARM ids machine and identity, as JSON to POST and in the query to DELETE");
    if (request.method === "POST") this.#state.attach(machine, identity);
    else this.#state.detach(machine, identity);
    return { status: 204 };
  }

  async #start(request: WireRequest): Promise<Answer> {
    const { machine, host, port } = json(request);
    if (typeof machine !== "string") throw new Error('imds: give {"machine": ARM id, "host"?: text, "port"?: number}');
    const handle = await this.#startImds(machine, {
      ...(typeof host === "string" ? { host } : {}),
      ...(typeof port === "number" ? { port } : {}),
    });
    const id = String(this.#imds.size + 1);
    this.#imds.set(id, { machine, handle });
    return { status: 201, body: { id, machine, url: handle.url } };
  }
}

function notFound(what: string): Answer {
  return {
    status: 404,
    body: { error: "not_found", error_description: `${what} does not exist; the README lists the routes` },
  };
}

function json(request: WireRequest): Record<string, unknown> {
  const value: unknown = JSON.parse(request.body);
  if (!isJsonObject(value)) throw new Error("the body must be a JSON object");
  return value;
}

const FILTERS = [
  "service",
  "method",
  "path",
  "operation",
  "resource",
  "machine",
  "clientId",
  "caller",
  "peer",
  "host",
  "error",
] as const;

function logFilter(query: URLSearchParams): LogFilter {
  const filter: Record<string, string | number> = {};
  for (const [name, value] of query) {
    if ((FILTERS as readonly string[]).includes(name)) filter[name] = value;
    else if (name === "status" || name === "after") filter[name] = Number(value);
    else throw new Error(`"${name}" is no filter of requests; use ${FILTERS.join(", ")}, status or after`);
  }
  return filter;
}
