import type { PostAnswer } from "./https-post.ts";

/** What came of a token request. Holds no credential; `message` is fit for logs and for whoever asked. */
export type EntraAnswer =
  | {
      readonly kind: "token";
      readonly accessToken: string;
      readonly tokenType: string;
      /** Seconds of life from now. */
      readonly expiresIn: number;
      readonly extExpiresIn: number | undefined;
      /** Unix times; only the first version of the endpoint says them. */
      readonly expiresOn: number | undefined;
      readonly notBefore: number | undefined;
      /** For whoever has to find the request in Entra's logs. */
      readonly correlationId: string;
    }
  /** Entra will say the same again. */
  | {
      readonly kind: "refused";
      /** OAuth's word, as `invalid_client`. */
      readonly error: string;
      /** Entra's number, the digits after AADSTS. */
      readonly code: number | undefined;
      readonly message: string;
      readonly correlationId: string;
    }
  /** It asked to be left alone. */
  | {
      readonly kind: "throttled";
      readonly retryAfterMs: number;
      readonly message: string;
      readonly correlationId: string;
    }
  /** Worth another try. */
  | {
      readonly kind: "unavailable";
      /** Entra's number, where it is well itself and says what else is not: the issuer of the assertion, for one. */
      readonly code?: number;
      readonly message: string;
      readonly correlationId: string;
    };

/** Entra's longest silence that is obeyed; it names 60 s, sometimes more. */
const LONGEST_RETRY_AFTER_MS = 10 * 60_000;
const DEFAULT_RETRY_AFTER_MS = 60_000;
/** "Request to External OIDC endpoint failed", "temporarily unavailable", and the like: another try may succeed. */
const TRANSIENT_CODES: ReadonlySet<number> = new Set([90061, 90033, 90006, 700223]);

/** Reads an answer of either version of the endpoint: texts in the first, numbers in the second. */
export function readAnswer(answer: PostAnswer, o: { readonly nowMs: number; readonly requestId: string }): EntraAnswer {
  const fields = jsonObject(answer.body);
  const correlationId = text(fields["correlation_id"]) || header(answer, "x-ms-request-id") || o.requestId;
  if (answer.status === 200) {
    const accessToken = fields["access_token"];
    const expiresOn = wholeNumber(fields["expires_on"]);
    const expiresIn =
      wholeNumber(fields["expires_in"]) ??
      (expiresOn === undefined ? undefined : Math.max(0, expiresOn - Math.floor(o.nowMs / 1000)));
    if (typeof accessToken !== "string" || accessToken === "" || expiresIn === undefined)
      return { kind: "unavailable", message: "Entra answered 200, but without a token or its life", correlationId };
    return {
      kind: "token",
      accessToken,
      tokenType: text(fields["token_type"]) || "Bearer",
      expiresIn,
      extExpiresIn: wholeNumber(fields["ext_expires_in"]),
      expiresOn,
      notBefore: wholeNumber(fields["not_before"]),
      correlationId,
    };
  }
  const error = text(fields["error"]);
  const description = text(fields["error_description"]);
  const code = errorCode(fields, description);
  const said = description || error;
  const message = `Entra answered ${answer.status}${said === "" ? "" : `: ${said}`}`;
  if (answer.status === 429)
    return { kind: "throttled", retryAfterMs: retryAfterMs(answer, o.nowMs), message, correlationId };
  // Only Entra's own refusals are final: a proxy's 403 or 407 is not its word.
  const final =
    answer.status >= 400 && answer.status < 500 && error !== "" && !(code !== undefined && TRANSIENT_CODES.has(code));
  if (final && error !== "temporarily_unavailable") return { kind: "refused", error, code, message, correlationId };
  if (header(answer, "retry-after") !== undefined)
    return { kind: "throttled", retryAfterMs: retryAfterMs(answer, o.nowMs), message, correlationId };
  return { kind: "unavailable", ...(answer.status < 500 && code !== undefined && { code }), message, correlationId };
}

function retryAfterMs(answer: PostAnswer, nowMs: number): number {
  const value = header(answer, "retry-after") ?? "";
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : DEFAULT_RETRY_AFTER_MS;
}

function errorCode(fields: Readonly<Record<string, unknown>>, description: string): number | undefined {
  const codes = fields["error_codes"];
  const [first] = Array.isArray(codes) ? (codes as readonly unknown[]) : [];
  return wholeNumber(first) ?? wholeNumber(/AADSTS(\d+)/.exec(description)?.[1]);
}

function header({ headers }: PostAnswer, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : value?.[0];
}

function jsonObject(body: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === "object" && parsed !== null ? (parsed as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

/** On one line and of bounded length: it goes into logs and error messages. */
function text(value: unknown): string {
  return typeof value === "string"
    ? value
        .replace(/[\u0000-\u001f\u007f]+/g, " ")
        .trim()
        .slice(0, 1_500)
    : "";
}

function wholeNumber(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined;
  return typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
