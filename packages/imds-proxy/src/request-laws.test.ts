import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { RequestRules } from "./parse-request.ts";
import type { ImdsRequest } from "./request.ts";
import { requestTarget } from "./request-target.ts";
import { TOKEN_PATH } from "./routes.ts";
import { METADATA, RID, parse, status } from "../test/parsing.ts";

const T = TOKEN_PATH;
/** More for a longer search: PODID_FUZZ_RUNS=1000000 npx vitest run packages/imds-proxy -t laws --testTimeout=600000 */
const FUZZ_RUNS = Number(process.env["PODID_FUZZ_RUNS"] ?? 4_000);

/** What decides about a request; the words of a refusal may quote its spelling. */
function meaning(request: ImdsRequest): unknown {
  return request.kind === "refusal" ? status(request) : request;
}

interface CorpusEntry {
  readonly method?: string;
  readonly target: string;
  readonly headers?: readonly string[];
  /** What {@link status} says of it, with every option on. */
  readonly want: string;
  /** Other spellings that must mean the same. */
  readonly same?: readonly string[];
}

const EVERYTHING: RequestRules = { hostToken: true, approveEvents: true };
const corpus = JSON.parse(
  readFileSync(join(import.meta.dirname, "../test/request-corpus.json"), "utf8"),
) as readonly CorpusEntry[];

describe("corpus", () => {
  test.for(corpus.map((entry) => [entry.target, entry] as const))("%s", ([, entry]) => {
    const { method = "GET", target, headers = METADATA, want, same = [] } = entry;
    const request = parse(target, headers, EVERYTHING, method);
    expect(status(request)).toBe(want);
    for (const other of same)
      expect([other, meaning(parse(other, headers, EVERYTHING, method))]).toEqual([other, meaning(request)]);
  });
});

describe("laws", () => {
  const piece = fc.constantFrom(
    "metadata",
    "Metadata",
    "identity",
    "Identity",
    "oauth2",
    "token",
    "instance",
    "INSTANCE",
    "versions",
    "host",
    "attested",
    "document",
    "info",
    "compute",
    "/",
    "//",
    "\\",
    "%5C",
    "%2F",
    "%2e",
    ".",
    "..",
    "%",
    "%74",
    "%00",
    "\n",
    ";",
    "?",
    "&",
    "=",
    "#",
    " ",
    "+",
    "é",
    "\ud800",
    "resource",
    "client_id",
    "object_id",
    "msi_res_id",
    "mi_res_id",
    "api-version",
    "bypass_cache",
    "true",
    "format",
    "text",
    "resource_id",
    "https://vault.azure.net",
    "2018-02-01",
    "xms_cc",
    "cp1",
  );
  const token = fc
    .array(
      fc.tuple(
        fc.constantFrom(
          "resource",
          "client_id",
          "object_id",
          "msi_res_id",
          "api-version",
          "xms_cc",
          "authority",
          "bypass_cache",
          "x",
        ),
        fc.oneof(
          fc.constantFrom("", "true", "2018-02-01", "https://vault.azure.net", RID, "a+b %25", "é&=?#"),
          fc.string({ maxLength: 12 }),
          fc.string({ unit: "binary", maxLength: 12 }),
        ),
      ),
      { maxLength: 5 },
    )
    .map(
      (pairs) =>
        `${T}?resource=r&${pairs.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join("&")}`,
    );
  const target = fc.oneof(
    { weight: 3, arbitrary: token },
    fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join("")),
    fc.array(piece, { maxLength: 10 }).map((pieces) => `/metadata/${pieces.join("")}`),
    fc.string({ unit: "binary" }),
  );
  const header = fc.tuple(
    fc.constantFrom("Metadata", "metadata", "Host", "X-Forwarded-For", "Content-Length", "Transfer-Encoding", "Accept"),
    fc.constantFrom("true", "false", "0", "1", "chunked", "x"),
  );
  const headers = fc.oneof(
    { weight: 3, arbitrary: fc.constant(METADATA) },
    { weight: 1, arbitrary: fc.array(header, { maxLength: 5 }).map((pairs) => pairs.flat()) },
  );
  const method = fc.oneof(
    { weight: 4, arbitrary: fc.constant("GET") },
    fc.constantFrom("POST", "HEAD", "get", "PROPFIND"),
  );
  const ALLOWED =
    /^\/metadata(?:$|\?|\/(?:identity\/oauth2\/token|identity\/info|instance(?:\/[A-Za-z0-9._~-]+)*|versions|attested\/document|scheduledevents|loadbalancer)(?:$|\?))/;

  test("what is accepted is on the allow-list, is forwarded in canonical form, and means the same when parsed again", () => {
    fc.assert(
      fc.property(method, target, headers, (verb, text, raw) => {
        const request = parse(text, raw, {}, verb);
        if (request.kind !== "token" && request.kind !== "metadata") return;
        expect(verb).toBe("GET");
        const canonical = requestTarget(request);
        expect(canonical).toMatch(ALLOWED);
        expect(canonical).toMatch(/^[\x21-\x7e]+$/);
        expect(canonical.split("?", 1)[0]).not.toMatch(/\\|%5c|\/\.{1,2}(?:\/|$)/i);
        const again = parse(canonical);
        expect(again).toEqual(
          request.kind === "token" ? { ...request, apiVersion: request.apiVersion ?? "2018-02-01" } : request,
        );
        expect(requestTarget(again as typeof request)).toBe(canonical);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test("slashes, a trailing slash and the casing of /metadata make no difference", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.boolean(), (pieces, trailing) => {
        const path = `/metadata/${pieces.join("").replaceAll("?", "")}`;
        const other = path.replaceAll("/", "//").replace("metadata", "MetaData") + (trailing ? "/" : "");
        const compare = (request: ImdsRequest): unknown =>
          request.kind === "refusal" ? { ...request, reply: request.reply.status } : request;
        expect(compare(parse(other))).toEqual(compare(parse(path)));
      }),
    );
  });
});

describe("laws of equal meaning", () => {
  interface Asked {
    readonly path: readonly string[];
    readonly parameters: readonly (readonly [name: string, value: string])[];
  }
  const text = fc.oneof(
    fc.constantFrom("", "true", "2018-02-01", "https://vault.azure.net/", RID, "a b", "a+b", "100%", "é", "x&y=z"),
    fc.string({ maxLength: 8 }),
  );
  const asked: fc.Arbitrary<Asked> = fc.record({
    path: fc.constantFrom(
      ["metadata", "identity", "oauth2", "token"],
      ["metadata", "instance", "compute"],
      ["metadata", "scheduledevents"],
      ["metadata", "identity", "other"],
      ["metadata", "Identity", "oauth2", "token"],
      ["host", "token"],
      ["metadata"],
      ["elsewhere"],
    ),
    parameters: fc.uniqueArray(
      fc.tuple(
        fc.constantFrom(
          "resource",
          "client_id",
          "object_id",
          "msi_res_id",
          "mi_res_id",
          "api-version",
          "bypass_cache",
          "xms_cc",
          "authority",
          "format",
          "nonce",
          "x",
          "resource_id",
        ),
        text,
      ),
      { maxLength: 6, selector: ([name]) => name },
    ),
  });
  /** How one thing may be written, without a change of what it means. */
  const spelling = fc.record({
    slashes: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 6, maxLength: 6 }),
    trailing: fc.boolean(),
    casing: fc.constantFrom("metadata", "Metadata", "METADATA"),
    escapes: fc.array(fc.boolean(), { minLength: 16, maxLength: 16 }),
    plus: fc.boolean(),
    order: fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
    empty: fc.boolean(),
    headerCasing: fc.constantFrom("Metadata", "metadata", "METADATA"),
    value: fc.constantFrom("true", "True", " true", "TRUE"),
    further: fc.constantFrom([], ["Accept", "*/*"], ["X-Client-Sku", "x"], ["Content-Length", "0"]),
  });
  type Spelling = typeof spelling extends fc.Arbitrary<infer S> ? S : never;

  function escaped(value: string, how: readonly boolean[], isUnreserved: (character: string) => boolean): string {
    let index = 0;
    return Array.from(value)
      .map((character) => {
        const escape = how[index++ % how.length] === true || !isUnreserved(character);
        if (!escape) return character;
        return [...new TextEncoder().encode(character)]
          .map((byte) => `%${byte.toString(16).padStart(2, "0")}`)
          .join("");
      })
      .join("");
  }

  function written({ path, parameters }: Asked, how: Spelling): { target: string; headers: string[] } {
    const unreserved = (character: string): boolean => /[A-Za-z0-9._~-]/.test(character);
    const slash = (index: number): string => "/".repeat(how.slashes[index % how.slashes.length] ?? 1);
    const segments = path.map((segment, index) =>
      escaped(index === 0 && segment === "metadata" ? how.casing : segment, how.escapes, unreserved),
    );
    const pairs = parameters
      .map(([name, value], index) => {
        const raw = escaped(value, how.escapes, (character) => /[A-Za-z0-9._~:/-]/.test(character));
        const spaced = how.plus ? raw.replaceAll("%20", "+") : raw;
        return {
          key: how.order[index % how.order.length] ?? 0,
          pair: `${escaped(name, how.escapes, unreserved)}=${spaced}`,
        };
      })
      .sort((a, b) => a.key - b.key)
      .map(({ pair }) => pair);
    const query = pairs.length === 0 ? "" : `?${how.empty ? "&" : ""}${pairs.join(how.empty ? "&&" : "&")}`;
    return {
      target: segments.map((segment, index) => slash(index) + segment).join("") + (how.trailing ? "/" : "") + query,
      headers: [...how.further, how.headerCasing, how.value, "podname", "p", "podns", "d"],
    };
  }

  test("two ways of writing one request never get two different answers", () => {
    let accepted = 0;
    fc.assert(
      fc.property(asked, spelling, spelling, (what, one, other) => {
        const [a, b] = [written(what, one), written(what, other)];
        const first = parse(a.target, a.headers, EVERYTHING);
        if (first.kind !== "refusal") accepted++;
        const second = parse(b.target, b.headers, EVERYTHING);
        // Of two mistakes in one query either may be the one that is named.
        if (first.kind === "refusal" && second.kind === "refusal" && what.parameters.length > 1) {
          expect(second.reply.status).toBe(first.reply.status);
        } else expect(meaning(second)).toEqual(meaning(first));
      }),
      { numRuns: FUZZ_RUNS },
    );
    expect(accepted).toBeGreaterThan(FUZZ_RUNS / 50);
  });

  test("names of the other parameters in any casing, and one that nobody knows, change nothing", () => {
    for (const query of [
      "resource=r&api-version=2018-02-01&bypass_cache=true",
      "Resource=r&API-Version=2018-02-01&Bypass_Cache=TRUE&y=1",
    ])
      expect(parse(`${T}?${query}`)).toMatchObject({ kind: "token", resource: "r", bypassCache: true });
  });
});
