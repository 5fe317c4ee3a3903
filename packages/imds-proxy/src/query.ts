/** Query parameters by lower-cased name, decoded once. */
export type ParsedQuery =
  | { readonly ok: true; readonly parameters: readonly QueryParameter[] }
  | { readonly ok: false; readonly why: string };

export interface QueryParameter {
  /** As the client wrote it, decoded. */
  readonly name: string;
  readonly value: string;
}

const MAX_PARAMETERS = 32;
/** A request target holds nothing else (RFC 9112 §3.2), although parsers let bytes above 0x7f through. */
const VISIBLE_ASCII = /^[\x21-\x7e]*$/;

/**
 * Reads a raw query (without `?`). IMDS refuses a repeated name, and so does this, whatever its casing: which of two
 * values counts is exactly what two parsers disagree about. Control characters and malformed escapes are refused.
 */
export function parseQuery(raw: string): ParsedQuery {
  const parameters: QueryParameter[] = [];
  if (raw === "") return { ok: true, parameters };
  const seen = new Set<string>();
  for (const pair of raw.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decodeComponent(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decodeComponent(pair.slice(equals + 1));
    if (name === undefined || value === undefined) {
      return { ok: false, why: "the query contains a character that is not allowed or a malformed escape" };
    }
    const folded = name.toLowerCase();
    if (seen.has(folded)) return { ok: false, why: `the query parameter '${printable(name)}' is given more than once` };
    seen.add(folded);
    if (seen.size > MAX_PARAMETERS) return { ok: false, why: `the query has more than ${MAX_PARAMETERS} parameters` };
    parameters.push({ name, value });
  }
  return { ok: true, parameters };
}

/** Text of a client that is safe to repeat in an answer. */
export function printable(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, "?");
  return clean.length > 64 ? `${clean.slice(0, 64)}...` : clean;
}

function decodeComponent(raw: string): string | undefined {
  if (!VISIBLE_ASCII.test(raw)) return undefined;
  let text = raw;
  if (text.includes("+")) text = text.replaceAll("+", " ");
  if (text.includes("%")) {
    try {
      text = decodeURIComponent(text);
    } catch {
      return undefined;
    }
  }
  return hasControl(text) ? undefined : text;
}

function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}
