import { createDefaultHttpClient, createPipelineRequest } from "@azure/core-rest-pipeline";
import type { HttpClient, Pipeline } from "@azure/core-rest-pipeline";
import { ArmError } from "../arm-problem.ts";
import { parseBody } from "./response-policy.ts";

/** Looks at an operation that another process began; the SDK follows only its own. */
export class OperationFollower {
  readonly #endpoint: string;
  readonly #http: HttpClient = createDefaultHttpClient();

  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  /**
   * Whether the URL leads to this ARM and to an operation of the compute provider in that subscription. It was read from the cluster, and our
   * token must go nowhere else.
   */
  accepts(operation: string, subscriptionId: string): boolean {
    if (!URL.canParse(operation)) return false;
    const url = new URL(operation);
    const path = new RegExp(
      `^/subscriptions/${subscriptionId.replaceAll(/[^\w-]/g, "")}/providers/Microsoft\\.Compute/locations/[\\w-]+/operations/[\\w-]+$`,
      "i",
    );
    return url.origin === new URL(this.#endpoint).origin && url.username === "" && path.test(url.pathname);
  }

  /** @returns whether it has ended well. @throws {ArmError} when it ended badly, or cannot be looked at */
  async isDone(pipeline: Pipeline, operation: string, signal: AbortSignal): Promise<boolean> {
    const request = createPipelineRequest({ url: operation, method: "GET", abortSignal: signal });
    const body = parseBody(await pipeline.sendRequest(this.#http, request));
    const status = typeof body === "object" && body !== null && "status" in body ? body.status : undefined;
    if (typeof status !== "string") {
      throw new ArmError({
        kind: "unavailable",
        status: 200,
        code: "NoOperationStatus",
        message: "ARM's answer about an operation has no status",
      });
    }
    return /^succeeded$/i.test(status);
  }
}
