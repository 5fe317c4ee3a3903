import { Agent, request } from "node:http";
import type { IncomingMessage } from "node:http";

export interface ImdsAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** The one way to the real IMDS. A request carries `Metadata: true` and nothing of what the pod sent. */
export interface ImdsClient {
  /** @param target as made by `requestTarget` @throws ImdsError when there is no usable answer */
  get(target: string, options?: { readonly signal?: AbortSignal; readonly timeoutMs?: number }): Promise<ImdsAnswer>;
}

/** No answer, or none within the limits. */
export class ImdsError extends Error {
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "ImdsError";
    this.code = code;
  }
}

export interface ImdsClientOptions {
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs?: number;
  /** For the whole answer. */
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
  readonly maxSockets?: number;
}

/**
 * Node's own HTTP client: it is loaded anyway, follows no redirects, knows no proxy variables. IMDS allows five
 * requests at a time per machine, which others share, hence few sockets.
 */
export class HttpImdsClient implements ImdsClient {
  readonly #options: Required<ImdsClientOptions>;
  readonly #agent: Agent;

  constructor(options: ImdsClientOptions) {
    this.#options = { connectTimeoutMs: 2_000, timeoutMs: 20_000, maxBytes: 1 << 20, maxSockets: 8, ...options };
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: this.#options.maxSockets,
      maxFreeSockets: 2,
      timeout: 30_000,
    });
  }

  get(
    target: string,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
  ): Promise<ImdsAnswer> {
    const { host, port, connectTimeoutMs } = this.#options;
    const { signal, timeoutMs = this.#options.timeoutMs } = options;
    return new Promise((resolve, reject) => {
      const fail = (code: string, message: string, cause?: unknown): void => {
        finish();
        outgoing.destroy();
        reject(new ImdsError(code, message, cause));
      };
      const outgoing = request({
        host,
        port,
        path: target,
        method: "GET",
        agent: this.#agent,
        headers: { metadata: "true", accept: "application/json, text/plain" },
      });
      const whole = setTimeout(() => fail("timeout", `IMDS did not answer within ${timeoutMs} ms`), timeoutMs);
      let connecting: NodeJS.Timeout | undefined;
      const onAbort = (): void => fail("aborted", "the request was given up");
      const finish = (): void => {
        clearTimeout(whole);
        clearTimeout(connecting);
        signal?.removeEventListener("abort", onAbort);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      outgoing.once("socket", (socket) => {
        if (!socket.connecting) return;
        connecting = setTimeout(
          () => fail("connect-timeout", `no connection to IMDS within ${connectTimeoutMs} ms`),
          connectTimeoutMs,
        );
        socket.once("connect", () => clearTimeout(connecting));
      });
      outgoing.once("error", (error: NodeJS.ErrnoException) =>
        fail(error.code ?? "network", `IMDS cannot be reached: ${error.code ?? error.message}`, error),
      );
      outgoing.once("response", (incoming) => {
        this.#read(incoming).then(
          (answer) => {
            finish();
            resolve(answer);
          },
          (error: unknown) => fail("body", error instanceof Error ? error.message : "the answer broke off", error),
        );
      });
      if (signal?.aborted) onAbort();
      else outgoing.end();
    });
  }

  async #read(incoming: IncomingMessage): Promise<ImdsAnswer> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > this.#options.maxBytes) throw new Error(`IMDS answered more than ${this.#options.maxBytes} bytes`);
      chunks.push(chunk);
    }
    return {
      status: incoming.statusCode ?? 0,
      contentType: incoming.headers["content-type"],
      retryAfter: incoming.headers["retry-after"],
      body: Buffer.concat(chunks).toString("utf8"),
    };
  }

  close(): void {
    this.#agent.destroy();
  }
}
