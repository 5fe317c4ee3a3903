import { randomBytes, randomUUID } from "node:crypto";
import type { WireReply } from "../http/wire.ts";

/** An answer with the headers of Entra's front end. */
export function entraJson(status: number, value: unknown, cacheControl = "no-store, no-cache"): WireReply {
  return {
    status,
    headers: [
      ["Cache-Control", cacheControl],
      ["Pragma", "no-cache"],
      ["Content-Type", "application/json; charset=utf-8"],
      ["Expires", "-1"],
      ["Strict-Transport-Security", "max-age=31536000; includeSubDomains"],
      ["X-Content-Type-Options", "nosniff"],
      ["P3P", 'CP="DSP CUR OTPi IND OTRi ONL FIN"'],
      ["x-ms-request-id", randomUUID()],
      ["x-ms-ests-server", "2.1.12651.9 - EUS ProdSlices"],
      ["x-ms-clitelem", "1,0,0,,"],
      [
        "Set-Cookie",
        [
          `fpc=${randomBytes(16).toString("base64url")}; expires=Fri, 01-Jan-2038 00:00:00 GMT; path=/; secure; HttpOnly; SameSite=None`,
          "x-ms-gateway-slice=estsfd; path=/; secure; httponly",
          "stsservicecookie=estsfd; path=/; secure; httponly",
        ],
      ],
    ],
    body: JSON.stringify(value),
  };
}

/** Entra's throttling is no JSON. */
export function entraThrottled(retryAfterS: number): WireReply {
  return {
    status: 429,
    headers: [
      ["Retry-After", String(retryAfterS)],
      ["Content-Type", "text/plain; charset=utf-8"],
    ],
    body: "Too Many Requests",
  };
}
