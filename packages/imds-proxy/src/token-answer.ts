import type { Reply } from "./reply.ts";
import { JSON_TYPE } from "./reply.ts";

/** A token as IMDS answered it, cut so that only the number of remaining seconds has to be put in. */
export interface TokenAnswer {
  readonly head: string;
  readonly tail: string;
  /** As IMDS said, for the checks. */
  readonly clientId: string | undefined;
  readonly accessToken: string;
  /** Seconds of life at the moment it was fetched. */
  readonly expiresInSeconds: number;
  /** Unix time; undefined when the source did not say. */
  readonly expiresOnSeconds: number | undefined;
  /**
   * Tokens of the same application in further tenants. With them the reply is upstream's JSON array, this one first; no
   * SDK can read that, so sources add them only when somebody asked for it.
   */
  readonly auxiliary?: readonly TokenAnswer[];
  /** Entra's name for the request that brought it, where it was asked. */
  readonly correlationId?: string;
}

export type ParsedAnswer =
  | { readonly ok: true; readonly answer: TokenAnswer }
  | { readonly ok: false; readonly why: string };

/**
 * Reads the JSON of a token answer and keeps its keys in their order. Values become strings (the Rust SDK accepts
 * nothing else), a missing `refresh_token` is appended empty as upstream's NMI had it, and the JSON is compact
 * because old azcopy searches the bytes `"not_before":"`. `expires_in` moves in front of `expires_on` where it was
 * missing: in .NET the later of the two wins.
 */
export function parseTokenAnswer(text: string, nowSeconds: number): ParsedAnswer {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { ok: false, why: "the answer is not JSON" };
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    return { ok: false, why: "the answer is not a JSON object" };
  const fields = parsed as Record<string, unknown>;
  const accessToken = fields["access_token"];
  if (typeof accessToken !== "string" || accessToken === "")
    return { ok: false, why: "the answer has no access_token" };
  const expiresOn = wholeNumber(fields["expires_on"]);
  const expiresIn = wholeNumber(fields["expires_in"]) ?? (expiresOn === undefined ? undefined : expiresOn - nowSeconds);
  if (expiresIn === undefined) return { ok: false, why: "the answer has neither expires_in nor expires_on" };

  const before: string[] = [];
  let after: string[] | undefined;
  for (const [name, value] of Object.entries(fields)) {
    if (name === "expires_in" || (name === "expires_on" && !("expires_in" in fields))) {
      before.push('"expires_in":"');
      after = ['"'];
      if (name === "expires_in") continue;
    }
    (after ?? before).push(`${JSON.stringify(name)}:${JSON.stringify(asString(value))}`);
  }
  if (!("refresh_token" in fields)) after?.push('"refresh_token":""');
  const head = `{${before.join(",")}`;
  const tail = `${after?.join(",")}}`;
  return {
    ok: true,
    answer: {
      head,
      tail,
      clientId: typeof fields["client_id"] === "string" ? fields["client_id"] : undefined,
      accessToken: partOf(head, accessToken) ?? partOf(tail, accessToken) ?? accessToken,
      expiresInSeconds: Math.max(0, expiresIn),
      expiresOnSeconds: expiresOn,
    },
  };
}

/**
 * The same text as a part of another, where it is one: then the engine keeps its characters once. A token is the most of what is
 * kept for a pod. To look for it also makes one piece of a text that was put together from many.
 */
function partOf(whole: string, text: string): string | undefined {
  const at = whole.indexOf(text);
  return at < 0 ? undefined : whole.slice(at, at + text.length);
}

/**
 * The latest reply made of an answer: within a second all are the same bytes. Of so many answers at most, because each is a second
 * copy of a token.
 */
const MOST_REPLIES = 256;
let replies = new WeakMap<TokenAnswer, { readonly seconds: number; readonly reply: Reply }>();
let repliesMade = 0;

/** The bytes for a client: `expires_in` says what is left now. */
export function tokenReply(answer: TokenAnswer, remainingSeconds: number): Reply {
  const seconds = Math.max(0, Math.floor(remainingSeconds));
  const latest = replies.get(answer);
  if (latest?.seconds === seconds) return latest.reply;
  const reply: Reply = {
    status: 200,
    headers: { "content-type": JSON_TYPE },
    body: answer.auxiliary === undefined ? bytes(answer, seconds) : array(answer, answer.auxiliary, seconds),
  };
  if (latest === undefined && ++repliesMade > MOST_REPLIES) {
    replies = new WeakMap();
    repliesMade = 1;
  }
  replies.set(answer, { seconds, reply });
  return reply;
}

function bytes({ head, tail }: TokenAnswer, seconds: number): string {
  return head + String(seconds) + tail;
}

function array(answer: TokenAnswer, auxiliary: readonly TokenAnswer[], seconds: number): string {
  const elapsed = answer.expiresInSeconds - seconds;
  const others = auxiliary.map((other) => bytes(other, Math.max(0, other.expiresInSeconds - elapsed)));
  return `[${[bytes(answer, seconds), ...others].join(",")}]`;
}

/**
 * The claim of a JWT, without any check of its signature: it compares what a trusted source answered with what was
 * asked for. Undefined where the token is no JWT or has no such string claim.
 */
export function jwtClaim(token: string, claim: string): string | undefined {
  const payload = token.split(".")[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    const value =
      typeof claims === "object" && claims !== null ? (claims as Record<string, unknown>)[claim] : undefined;
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function asString(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : JSON.stringify(value);
}

function wholeNumber(value: unknown): number | undefined {
  const number =
    typeof value === "number"
      ? value
      : typeof value === "string" && /^\d{1,15}$/.test(value)
        ? Number(value)
        : Number.NaN;
  return Number.isFinite(number) && number >= 0 ? Math.floor(number) : undefined;
}
