import { Agent, request } from "node:http";
import type { IncomingMessage } from "node:http";

export interface ImdsAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** Where an answer goes while it arrives. */
export interface ImdsSink {
  head(head: Omit<ImdsAnswer, "body">): void;
  chunk(bytes: Buffer): void;
}

export interface ImdsCallOptions {
  readonly signal?: AbortSignal;
  /** For the whole answer. */
  readonly timeoutMs?: number;
}

/** The one way to the real IMDS. A request carries `Metadata: true` and nothing of what the pod sent. */
export interface ImdsClient {
  /** @param target as made by `requestTarget` @throws ImdsError when there is no usable answer */
  get(target: string, options?: ImdsCallOptions): Promise<ImdsAnswer>;
}

/** The same for answers that go on while they arrive. */
export interface ImdsStreamer {
  /**
   * Resolves when the whole answer has gone to `sink`; nobody waits for who reads it, so the size is limited.
   * @param body JSON; with it the request is a POST
   * @throws ImdsError when there is no usable answer, or it breaks off
   */
  stream(target: string, sink: ImdsSink, options?: ImdsCallOptions & { readonly body?: string }): Promise<void>;
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
export class HttpImdsClient implements ImdsClient, ImdsStreamer {
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

  async get(target: string, options: ImdsCallOptions = {}): Promise<ImdsAnswer> {
    const chunks: Buffer[] = [];
    let answer: Omit<ImdsAnswer, "body"> | undefined;
    const sink: ImdsSink = { head: (head) => (answer = head), chunk: (bytes) => chunks.push(bytes) };
    await this.stream(target, sink, options);
    const head = answer ?? { status: 0, contentType: undefined, retryAfter: undefined };
    return { ...head, body: Buffer.concat(chunks).toString("utf8") };
  }

  stream(target: string, sink: ImdsSink, options: ImdsCallOptions & { readonly body?: string } = {}): Promise<void> {
    const { host, port, connectTimeoutMs } = this.#options;
    const { signal, timeoutMs = this.#options.timeoutMs, body } = options;
    return new Promise((resolve, reject) => {
      let isRepeatable = body === undefined;
      const fail = (code: string, message: string, cause?: unknown): void => {
        isRepeatable = false;
        finish();
        outgoing.destroy();
        reject(new ImdsError(code, message, cause));
      };
      const outgoing = request({
        host,
        port,
        path: target,
        method: body === undefined ? "GET" : "POST",
        agent: this.#agent,
        headers: {
          metadata: "true",
          accept: "application/json, text/plain",
          ...(body === undefined
            ? {}
            : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }),
        },
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
      outgoing.once("error", (error: NodeJS.ErrnoException) => {
        // IMDS may close a kept connection just when it is used again; that says nothing, and a GET may be repeated.
        if (error.code === "ECONNRESET" && outgoing.reusedSocket && isRepeatable) {
          finish();
          return resolve(this.stream(target, sink, options));
        }
        fail(error.code ?? "network", `IMDS cannot be reached: ${error.code ?? error.message}`, error);
      });
      outgoing.once("response", (incoming) => {
        isRepeatable = false;
        const done = (): void => {
          finish();
          resolve();
        };
        this.#read(incoming, sink, done, (error) => fail("body", error.message, error));
      });
      if (signal?.aborted) onAbort();
      else outgoing.end(body);
    });
  }

  /** By events: an iterator would add turns of the event loop to every token. */
  #read(incoming: IncomingMessage, sink: ImdsSink, done: () => void, broken: (error: Error) => void): void {
    const { maxBytes } = this.#options;
    const limited = (bytes: number): void => {
      if (bytes > maxBytes) throw new Error(`IMDS answered more than ${maxBytes} bytes`);
    };
    const guarded = (step: () => void): void => {
      try {
        step();
      } catch (error) {
        incoming.off("data", chunk).off("end", done);
        broken(error as Error);
      }
    };
    const { "content-type": contentType, "retry-after": retryAfter, "content-length": length } = incoming.headers;
    const announced = Number(length ?? Number.NaN);
    let size = 0;
    const chunk = (bytes: Buffer): void =>
      guarded(() => {
        limited((size += bytes.length));
        sink.chunk(bytes);
        // The end of the message is told some turns later.
        if (size === announced) done();
      });
    incoming.once("error", broken).once("end", done).on("data", chunk);
    guarded(() => {
      limited(announced);
      sink.head({ status: incoming.statusCode ?? 0, contentType, retryAfter });
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
