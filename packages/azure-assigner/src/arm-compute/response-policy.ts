import { AsyncLocalStorage } from "node:async_hooks";
import type { PipelinePolicy, PipelineResponse } from "@azure/core-rest-pipeline";
import { ArmError } from "../arm-problem.ts";
import { armProblem } from "../arm-response.ts";
import { parseRetryAfter } from "../retry-after.ts";

/** What an answer said besides its body, which is all that the SDK passes on. */
export interface AnswerNotes {
  retryAfterMs?: number;
  /** Where the operation that a write began can be followed. */
  operation?: string;
}

/** Set around one call of the SDK that makes one request. */
export const answerNotes = new AsyncLocalStorage<AnswerNotes>();

/**
 * Turns every ARM answer that is not a success, and every operation that ended badly, into an {@link ArmError} with the whole
 * error body; the SDK would keep only a message of the latter. The outermost policy, so that authentication challenges are dealt with before.
 */
export function responsePolicy(now: () => number): PipelinePolicy {
  return {
    name: "podidResponsePolicy",
    async sendRequest(request, next) {
      const response = await next(request);
      const body = parseBody(response);
      const failure = { status: response.status, header: (name: string) => response.headers.get(name), body };
      const notes = answerNotes.getStore();
      if (notes !== undefined) {
        const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), now());
        if (retryAfterMs === undefined) delete notes.retryAfterMs;
        else notes.retryAfterMs = retryAfterMs;
        const operation = response.headers.get("azure-asyncoperation");
        if (operation !== undefined) notes.operation = operation;
      }
      if (response.status >= 400 || isBadEnd(body)) throw new ArmError(armProblem(failure, now()));
      return response;
    },
  };
}

/** JSON, else the text. */
export function parseBody(response: PipelineResponse): unknown {
  try {
    return JSON.parse(response.bodyAsText ?? "");
  } catch {
    return response.bodyAsText;
  }
}

/** The body of an asynchronous operation that failed or was cancelled; a machine's body has no such member at the top. */
function isBadEnd(body: unknown): boolean {
  if (typeof body !== "object" || body === null || !("status" in body) || typeof body.status !== "string") return false;
  return /^(failed|cancell?ed)$/i.test(body.status);
}
