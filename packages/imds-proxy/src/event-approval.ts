import type { IncomingMessage } from "node:http";
import { MAX_BODY_BYTES } from "./parse-request.ts";

const EVENT_ID = /^[A-Za-z0-9_-]{1,128}$/;
const MOST_EVENTS = 32;

/**
 * Reads the body of `POST /metadata/scheduledevents` and writes it anew: `{"StartRequests":[{"EventId":"…"}]}` and
 * nothing else. @returns undefined when it is anything else, or broke off
 */
export async function readApproval(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) return undefined;
      chunks.push(chunk);
    }
    const parsed = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { StartRequests?: unknown } | null;
    const given = parsed?.StartRequests;
    if (!Array.isArray(given) || given.length === 0 || given.length > MOST_EVENTS) return undefined;
    const ids = given.map((each: unknown) => (each as { EventId?: unknown } | null)?.EventId);
    if (!ids.every((id): id is string => typeof id === "string" && EVENT_ID.test(id))) return undefined;
    return JSON.stringify({ StartRequests: ids.map((id) => ({ EventId: id })) });
  } catch {
    return undefined;
  }
}
