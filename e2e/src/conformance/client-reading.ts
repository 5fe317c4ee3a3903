import type { RecordedClient } from "./recorded-clients.ts";

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The first answer in a text. */
export function readAnswer(text = ""): RawAnswer {
  const end = text.indexOf("\r\n\r\n");
  const [line = "", ...lines] = text.slice(0, end).split("\r\n");
  const headers = lines.map((header) => /^([^:]+): (.*)$/.exec(header)?.slice(1) ?? []);
  return {
    status: Number(line.split(" ")[1]),
    headers: Object.fromEntries(headers.map(([name = "", value = ""]) => [name.toLowerCase(), value])),
    body: text.slice(end + 4),
  };
}

/** What a token claims; unsigned here, because whoever gets it does not look either. */
export function claimsOf(token: string): Record<string, string> {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as Record<string, string>;
}

/** What the client makes of a success: the token, or why it would fail. */
export function accepts(client: RecordedClient, answer: RawAnswer): string {
  if (answer.status !== 200) return `status ${answer.status}: ${answer.body}`;
  const body = JSON.parse(answer.body) as Record<string, unknown>;
  if (Array.isArray(body)) return "an array";
  const missing = client.needs.filter((field) => body[field] === undefined || body[field] === "");
  if (missing.length > 0) return `without ${missing.join(", ")}`;
  if (client.strings && Object.values(body).some((value) => typeof value !== "string")) return "not only texts";
  for (const field of ["expires_in", "expires_on", "not_before"])
    if (!/^\d+$/.test(String(body[field]))) return `${field} is no whole number`;
  if (client.bytes !== undefined && !answer.body.includes(client.bytes)) return `without the bytes ${client.bytes}`;
  const names = Object.keys(body);
  if (client.expiresOnLast && names.indexOf("expires_on") < names.indexOf("expires_in")) return "expires_in comes last";
  const claims = claimsOf(String(body["access_token"]));
  const absent = (client.claims ?? []).filter((claim) => claims[claim] === undefined);
  return absent.length > 0
    ? `a token without ${absent.join(", ")}`
    : `token of ${claims["xms_mirid"]?.split("/").at(-1)}`;
}

/** What a client shows of an error; az, msal and old SDKs need exactly this shape. */
export function shows({ body, headers }: RawAnswer): string {
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(body) as Record<string, unknown>;
  } catch {
    return `unreadable: ${body}`;
  }
  const { error, error_description: text } = parsed;
  if (typeof error !== "string" || typeof text !== "string") return `unreadable: ${body}`;
  return headers["content-type"] === "application/json; charset=utf-8" ? text : `as ${headers["content-type"]}`;
}
