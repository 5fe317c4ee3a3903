import { LimiterFullError } from "./fair-limiter.ts";
import type { FairLimiter } from "./fair-limiter.ts";
import { ImdsError } from "./imds-client.ts";
import type { ImdsClient } from "./imds-client.ts";
import { errorReply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { MetadataRequest, TokenRequest } from "./request.ts";
import { requestTarget } from "./request-target.ts";

export interface ImdsForwarderOptions {
  readonly client: ImdsClient;
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

  /** @param fairnessKey pod UID or address */
  async forward(request: MetadataRequest | TokenRequest, fairnessKey: string, signal?: AbortSignal): Promise<Reply> {
    const limiter = request.kind === "token" ? this.#options.tokenLimiter : this.#options.metadataLimiter;
    try {
      return await limiter.run(fairnessKey, async () => {
        // The client may have left while this request was waiting for its turn.
        if (signal?.aborted) throw new ImdsError("aborted", "the request was given up");
        const answer = await this.#options.client.get(requestTarget(request), {
          ...(signal === undefined ? {} : { signal }),
          ...(isSlow(request) ? { timeoutMs: SLOW_MS } : {}),
        });
        return {
          status: answer.status,
          headers: {
            ...(answer.contentType === undefined ? {} : { "content-type": answer.contentType }),
            ...(answer.retryAfter === undefined ? {} : { "retry-after": answer.retryAfter }),
          },
          body: answer.body,
        };
      });
    } catch (error) {
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
