import type { OutgoingMessage, ServerResponse } from "node:http";
import type { Reply } from "./reply.ts";

/** Header lines of a reply as Node writes them without looking at them again: names and values in turn. */
const prepared = new WeakMap<Reply, Prepared>();

interface Prepared {
  readonly open: readonly string[];
  readonly closing: readonly string[];
  /** Nothing but ASCII is written faster as latin1, and means the same. */
  readonly encoding: "latin1" | "utf8";
}

/** Answers with exactly that. A reply that is sent again and again is prepared once. */
export function sendReply(response: ServerResponse, reply: Reply, closing: boolean): void {
  let ready = prepared.get(reply);
  if (ready === undefined) {
    ready = prepare(reply);
    prepared.set(reply, ready);
  }
  response.writeHead(reply.status, (closing || reply.close === true ? ready.closing : ready.open) as string[]);
  (response as OutgoingMessage).end(reply.body, ready.encoding);
}

function prepare({ headers, body }: Reply): Prepared {
  const length = Buffer.byteLength(body);
  const open = [...Object.entries(headers).flat(), "content-length", String(length)];
  return {
    open,
    closing: [...open, "connection", "close"],
    encoding: length === body.length ? "latin1" : "utf8",
  };
}
