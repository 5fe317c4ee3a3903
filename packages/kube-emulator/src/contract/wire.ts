import { Agent, request } from "node:https";
import type { ClientRequest, IncomingMessage } from "node:http";
import { textAt } from "../json.ts";
import type { ContractTarget } from "./target.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
  readonly text: string;
}

export interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

export const MERGE = "application/merge-patch+json";
export const JSON_PATCH = "application/json-patch+json";
export const STRATEGIC = "application/strategic-merge-patch+json";
export const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/** Requests as they go over the wire: no client library in between that could smooth anything over. */
export class Wire {
  readonly #target: ContractTarget;
  readonly #agent: Agent;
  readonly #open = new Set<WatchStream>();

  constructor(target: ContractTarget) {
    this.#target = target;
    this.#agent = new Agent({ ca: target.ca, keepAlive: true });
  }

  send(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const content = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
      const sent = this.#request(method, path, {
        ...(content === undefined
          ? {}
          : { "content-type": "application/json", "content-length": String(Buffer.byteLength(content)) }),
        ...headers,
      });
      sent.on("error", reject);
      sent.on("response", (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed(text), text });
        });
      });
      sent.end(content);
    });
  }

  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer> {
    return this.send("GET", path, undefined, headers);
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.send("POST", path, body);
  }

  put(path: string, body: unknown): Promise<Answer> {
    return this.send("PUT", path, body);
  }

  patch(path: string, type: string, body: unknown): Promise<Answer> {
    return this.send("PATCH", path, body, { "content-type": type });
  }

  delete(path: string, body?: unknown): Promise<Answer> {
    return this.send("DELETE", path, body);
  }

  /** Opens a watch; resolves when the server has begun to answer. */
  watch(path: string, headers: Readonly<Record<string, string>> = {}): Promise<WatchStream> {
    return new Promise((resolve, reject) => {
      const sent = this.#request("GET", path, headers);
      sent.on("error", reject);
      sent.on("response", (response: IncomingMessage) => {
        const stream = new WatchStream(sent, response);
        this.#open.add(stream);
        resolve(stream);
      });
      sent.end();
    });
  }

  close(): void {
    for (const stream of this.#open) stream.close();
    this.#agent.destroy();
  }

  #request(method: string, path: string, headers: Readonly<Record<string, string>>): ClientRequest {
    return request(this.#target.url + path, {
      method,
      agent: this.#agent,
      headers: { authorization: `Bearer ${this.#target.token}`, ...headers },
    });
  }
}

/** The lines of one watch, in order, and its end. */
export class WatchStream {
  readonly status: number;
  #text = "";
  readonly #events: WatchEvent[] = [];
  readonly #waiting: ((event: WatchEvent | undefined) => void)[] = [];
  #ended = false;
  readonly #request: ClientRequest;

  constructor(sent: ClientRequest, response: IncomingMessage) {
    this.#request = sent;
    this.status = response.statusCode ?? 0;
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => this.#take(chunk));
    const end = (): void => {
      this.#ended = true;
      for (const waiter of this.#waiting.splice(0)) waiter(undefined);
    };
    response.on("end", end);
    response.on("close", end);
    response.on("error", end);
    sent.on("error", end);
  }

  /** The next event; undefined once the stream has ended. */
  next(): Promise<WatchEvent | undefined> {
    const event = this.#events.shift();
    if (event !== undefined || this.#ended) return Promise.resolve(event);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next events up to one of a type, that one included. */
  async until(type: string): Promise<WatchEvent[]> {
    const events: WatchEvent[] = [];
    for (;;) {
      const event = await this.next();
      if (event === undefined)
        throw new Error(`the watch ended before an event ${type}; seen: ${events.map((seen) => seen.type).join(", ")}`);
      events.push(event);
      if (event.type === type) return events;
    }
  }

  /** `TYPE name` of the next few events. */
  async names(count: number): Promise<string[]> {
    const names: string[] = [];
    while (names.length < count) {
      const event = await this.next();
      names.push(event === undefined ? "END" : `${event.type} ${textAt(event.object, "metadata", "name")}`);
    }
    return names;
  }

  close(): void {
    this.#request.destroy();
  }

  #take(chunk: string): void {
    this.#text += chunk;
    const lines = this.#text.split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") continue;
      const event = JSON.parse(line) as WatchEvent;
      const waiter = this.#waiting.shift();
      if (waiter === undefined) this.#events.push(event);
      else waiter(event);
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
