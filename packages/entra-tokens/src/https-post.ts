import { Agent, request } from "node:https";
import type { AgentOptions } from "node:https";

export interface PostAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** No answer, or none within the limits. */
export class PostError extends Error {
  override readonly name = "PostError";
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface PosterOptions {
  readonly connectTimeoutMs?: number;
  /** For the whole answer. */
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
  /** Further trusted authorities, PEM; absent: those of Node, with NODE_EXTRA_CA_CERTS. */
  readonly ca?: string | readonly string[];
  /** Where HTTPS_PROXY and NO_PROXY are looked up (Node 24.5 and later); absent: no proxy. */
  readonly proxyEnv?: Readonly<Record<string, string | undefined>>;
  /** Connections to one host. */
  readonly maxSockets?: number;
}

/** Posts forms over TLS: connections are kept, redirects are not followed, since the form holds a credential. */
export class HttpsPoster {
  readonly #agent: Agent;
  readonly #connectTimeoutMs: number;
  readonly #timeoutMs: number;
  readonly #maxBytes: number;

  constructor(options: PosterOptions = {}) {
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 3_000;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#maxBytes = options.maxBytes ?? 256 * 1024;
    const agent: AgentOptions & { proxyEnv?: object } = {
      keepAlive: true,
      maxSockets: options.maxSockets ?? 64,
      maxFreeSockets: 4,
      timeout: 60_000,
      ...(options.ca !== undefined && { ca: typeof options.ca === "string" ? options.ca : [...options.ca] }),
      ...(options.proxyEnv !== undefined && { proxyEnv: options.proxyEnv }),
    };
    this.#agent = new Agent(agent);
  }

  /** @throws PostError */
  post(url: string, headers: Readonly<Record<string, string>>, form: URLSearchParams): Promise<PostAnswer> {
    const body = form.toString();
    return new Promise((resolve, reject) => {
      const timers: NodeJS.Timeout[] = [];
      const finish = (): void => timers.forEach((timer) => clearTimeout(timer));
      const fail = (code: string, message: string, cause?: unknown): void => {
        finish();
        outgoing.destroy();
        reject(new PostError(code, message, cause));
      };
      const outgoing = request(url, {
        method: "POST",
        agent: this.#agent,
        headers: {
          ...headers,
          "content-type": "application/x-www-form-urlencoded",
          "content-length": Buffer.byteLength(body),
        },
      });
      const host = new URL(url).host;
      timers.push(
        setTimeout(() => fail("timeout", `${host} did not answer within ${this.#timeoutMs} ms`), this.#timeoutMs),
      );
      outgoing.once("socket", (socket) => {
        if (!socket.connecting) return;
        const ms = this.#connectTimeoutMs;
        const timer = setTimeout(() => fail("connect-timeout", `no connection to ${host} within ${ms} ms`), ms);
        timers.push(timer);
        socket.once("secureConnect", () => clearTimeout(timer));
      });
      outgoing.once("error", (error: NodeJS.ErrnoException) =>
        fail(error.code ?? "network", `${host} cannot be reached: ${error.code ?? error.message}`, error),
      );
      outgoing.once("response", (incoming) => {
        const chunks: Buffer[] = [];
        let size = 0;
        incoming.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > this.#maxBytes) fail("too-long", `${host} answered more than ${this.#maxBytes} bytes`);
          else chunks.push(chunk);
        });
        incoming.once("error", (error) => fail("body", `the answer of ${host} broke off`, error));
        incoming.once("end", () => {
          finish();
          const { statusCode: status = 0, headers: received } = incoming;
          resolve({ status, headers: received, body: Buffer.concat(chunks).toString("utf8") });
        });
      });
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
