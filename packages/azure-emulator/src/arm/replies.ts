import { randomUUID } from "node:crypto";
import type { WireReply } from "../http/wire.ts";
import type { ArmError } from "./errors.ts";

type Header = readonly [string, string | readonly string[]];

/** JSON as the compute provider writes it: two blanks, CRLF. */
export function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2).replaceAll("\n", "\r\n");
}

/** An answer of the compute provider. */
export function computeReply(status: number, value: unknown, headers: readonly Header[] = []): WireReply {
  return { status, headers: [...headers, ...typed(), ...COMPUTE_SERVER], body: pretty(value) };
}

/** An answer of everything else behind ARM: compact. */
export function armReply(status: number, value: unknown, headers: readonly Header[] = []): WireReply {
  return { status, headers: [...headers, ...typed()], body: JSON.stringify(value) };
}

export function emptyReply(status: number, headers: readonly Header[] = []): WireReply {
  return { status, headers, body: "" };
}

export function errorReply(error: ArmError, style: "compute" | "arm"): WireReply {
  const { status, code, message, target, details, innerError, headers } = error;
  const body = {
    error: {
      ...(details === undefined ? {} : { details }),
      ...(innerError === undefined ? {} : { innererror: innerError }),
      code,
      message,
      ...(target === undefined ? {} : { target }),
    },
  };
  // ARM itself refuses before the provider sees the request, and writes compactly.
  const own = style === "arm" || [401, 403].includes(status) || code === "SubscriptionRequestsThrottled";
  return own ? armReply(status, body, headers) : computeReply(status, body, headers);
}

/** Headers that ARM's front end adds to every answer; `correlationId` is the client's where it sent one. */
export function withArmHeaders(
  reply: WireReply,
  o: { remaining: Header | undefined; correlationId: string | undefined; location: string },
): WireReply {
  const requestId = randomUUID();
  return {
    ...reply,
    headers: [
      ["cache-control", "no-cache"],
      ["pragma", "no-cache"],
      ["expires", "-1"],
      ...reply.headers,
      ...(o.remaining === undefined ? [] : [o.remaining]),
      ["x-ms-request-id", requestId],
      ["x-ms-correlation-request-id", o.correlationId ?? requestId],
      ["x-ms-routing-request-id", `${o.location.toUpperCase()}:${requestId}`],
      ["strict-transport-security", "max-age=31536000; includeSubDomains"],
      ["x-content-type-options", "nosniff"],
      ["vary", "Accept-Encoding"],
    ],
  };
}

function typed(): readonly Header[] {
  return [["content-type", "application/json; charset=utf-8"]];
}

/** Twice on the wire. */
const COMPUTE_SERVER: readonly Header[] = [["server", ["Microsoft-HTTPAPI/2.0", "Microsoft-HTTPAPI/2.0"]]];
