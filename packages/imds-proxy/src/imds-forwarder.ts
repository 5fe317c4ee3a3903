import { LimiterFullError } from "./fair-limiter.ts";
import type { FairLimiter } from "./fair-limiter.ts";
import { ImdsError } from "./imds-client.ts";
import type { ImdsCallOptions, ImdsClient, ImdsSink, ImdsStreamer } from "./imds-client.ts";
import { errorReply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { MetadataRequest, TokenRequest } from "./request.ts";
import { requestTarget } from "./request-target.ts";

export interface ImdsForwarderOptions {
  readonly client: ImdsClient & ImdsStreamer;
  /** Instance, versions and so on; IMDS allows five a second per machine. */
  readonly metadataLimiter: FairLimiter;
  /** Shared with the broker's source: one budget for IMDS's identity endpoint. */
  readonly tokenLimiter: FairLimiter;
}

/** IMDS may take two minutes for the first answer about scheduled events, which it only then begins to collect. */
const SLOW_MS = 130_000;

/**
 * Asks IMDS in a pod's stead, for metadata routes and for excepted pods' tokens. What goes out is written anew from
 * the parsed request; what comes back is IMDS's status, content type and body, with no header of the connection.
 */
export class ImdsForwarder {
  readonly #options: ImdsForwarderOptions;

  constructor(options: ImdsForwarderOptions) {
    this.#options = options;
  }

  /** The whole answer at once. @param fairnessKey pod UID or address */
  forward(request: MetadataRequest | TokenRequest, fairnessKey: string, signal?: AbortSignal): Promise<Reply> {
    return this.#limited(request, fairnessKey, signal, async (target, options) => {
      const { status, contentType, retryAfter, body } = await this.#options.client.get(target, options);
      return {
        status,
        headers: {
          ...(contentType === undefined ? {} : { "content-type": contentType }),
          ...(retryAfter === undefined ? {} : { "retry-after": retryAfter }),
        },
        body,
      };
    });
  }

  /**
   * The answer while it arrives. @param body of a POST @returns an error that is to be sent instead, when nothing has
   * been sent yet @throws ImdsError when the answer broke off
   */
  relay(
    request: MetadataRequest,
    fairnessKey: string,
    sink: ImdsSink,
    signal: AbortSignal,
    body?: string,
  ): Promise<Reply | undefined> {
    let begun = false;
    const watched: ImdsSink = {
      head: (head) => {
        begun = true;
        sink.head(head);
      },
      chunk: (bytes) => sink.chunk(bytes),
    };
    return this.#limited<Reply | undefined>(
      request,
      fairnessKey,
      signal,
      async (target, options) => {
        await this.#options.client.stream(target, watched, { ...options, ...(body === undefined ? {} : { body }) });
        return undefined;
      },
      () => begun,
    );
  }

  async #limited<T extends Reply | undefined>(
    request: MetadataRequest | TokenRequest,
    fairnessKey: string,
    signal: AbortSignal | undefined,
    ask: (target: string, options: ImdsCallOptions) => Promise<T>,
    begun: () => boolean = () => false,
  ): Promise<T | Reply> {
    const limiter = request.kind === "token" ? this.#options.tokenLimiter : this.#options.metadataLimiter;
    try {
      return await limiter.run(fairnessKey, () => {
        // The client may have left while this request was waiting for its turn.
        if (signal?.aborted) throw new ImdsError("aborted", "the request was given up");
        return ask(requestTarget(request), {
          ...(signal === undefined ? {} : { signal }),
          ...(isSlow(request) ? { timeoutMs: SLOW_MS } : {}),
        });
      });
    } catch (error) {
      if (begun()) throw error;
      if (error instanceof LimiterFullError)
        return errorReply(503, "overloaded", error.message, { retryAfterSeconds: 1 });
      if (error instanceof ImdsError)
        return errorReply(503, "imds-unavailable", error.message, { retryAfterSeconds: 1 });
      throw error;
    }
  }
}

function isSlow(request: MetadataRequest | TokenRequest): boolean {
  return request.kind === "metadata" && request.category === "scheduledevents";
}
