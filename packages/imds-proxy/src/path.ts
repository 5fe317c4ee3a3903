/** Path segments after the one canonicalisation; `metadata` is not folded yet. */
export type CanonicalPath =
  | { readonly ok: true; readonly segments: readonly string[] }
  | { readonly ok: false; readonly why: string };

const MAX_LENGTH = 2048;
const MAX_SEGMENTS = 16;
const UNRESERVED = /^[A-Za-z0-9._~-]*$/;
const ESCAPE = /%([0-9A-Fa-f]{2})/g;

/**
 * The one reading of a request path. Repeated slashes count as one and a trailing slash is dropped; a percent-encoded
 * unreserved character equals the character itself (RFC 3986 §6.2.2.2). Everything that two parsers could read
 * differently is refused: backslashes, encoded slashes, dot segments, path parameters, non-ASCII, doubly encoded text.
 * CVE-2022-23551 was such a difference.
 */
export function canonicalPath(raw: string): CanonicalPath {
  if (!raw.startsWith("/")) return refused("the request target must be a path that starts with '/'");
  if (raw.length > MAX_LENGTH) return refused(`the path is longer than ${MAX_LENGTH} characters`);
  const decoded = raw.includes("%") ? decodeUnreserved(raw) : raw;
  if (decoded === undefined) return refused("the path contains an escape that is not allowed");
  const segments: string[] = [];
  for (const segment of decoded.split("/")) {
    if (segment === "") continue;
    if (segment === "." || segment === "..") return refused("the path contains a dot segment");
    if (!UNRESERVED.test(segment)) return refused("the path contains a character that is not allowed");
    segments.push(segment);
  }
  if (segments.length > MAX_SEGMENTS) return refused(`the path has more than ${MAX_SEGMENTS} segments`);
  return { ok: true, segments };
}

function decodeUnreserved(raw: string): string | undefined {
  const decoded = raw.replace(ESCAPE, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : escape;
  });
  return decoded.includes("%") ? undefined : decoded;
}

function refused(why: string): CanonicalPath {
  return { ok: false, why };
}
