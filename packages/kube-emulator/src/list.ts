import type { Json } from "./json.ts";
import type { ResourceType } from "./resource-type.ts";
import { apiVersionOf, shown } from "./resource-type.ts";
import type { Selection } from "./selector.ts";
import { ApiError, badRequest, expired, invalid, tooLargeResourceVersion } from "./status.ts";
import type { Cause } from "./status.ts";
import type { Collection, StoredRecord } from "./store.ts";

/** One page of a list. */
export interface Page {
  readonly records: readonly StoredRecord[];
  readonly metadata: Json;
}

interface Continue {
  readonly v: "meta.k8s.io/v1";
  readonly rv: number;
  readonly start: string;
}

const LIST_OPTIONS = { group: "meta.k8s.io", kind: "ListOptions" };

/** Reads a resourceVersion parameter; undefined when it is not given. `one` for a GET, whose refusal is worded differently. */
export function resourceVersion(query: URLSearchParams, one = false): number | undefined {
  const text = query.get("resourceVersion");
  if (text === null || text === "") return undefined;
  if (!/^\d+$/.test(text)) {
    const why = `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
    throw one ? new ApiError(500, "", why) : badRequest(`invalid resource version: ${why}`);
  }
  return Number(text);
}

/** One page of what a collection holds, at the revision that the query asks for. */
export function listPage(
  collection: Collection,
  current: number,
  prefix: string,
  chosen: Selection,
  query: URLSearchParams,
): Page {
  const wanted = resourceVersion(query);
  const match = query.get("resourceVersionMatch") ?? "";
  const token = query.get("continue") ?? "";
  checkOptions(match, wanted, token);
  const limit = wanted === 0 && match === "" ? 0 : Number(query.get("limit") ?? 0);
  if (!Number.isInteger(limit) || limit < 0)
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(query.get("limit"))}: invalid syntax`);

  const from = token === "" ? undefined : parseContinue(token);
  if (wanted !== undefined && wanted > current && token === "") throw tooLargeResourceVersion(wanted, current);
  const exact =
    from !== undefined
      ? from.rv
      : match === "Exact" || (match === "" && limit > 0 && wanted !== undefined && wanted > 0)
        ? (wanted as number)
        : -1;
  const revision = exact < 0 ? current : exact;
  const all = collection.listAt(revision, prefix);
  if (all === undefined) throw tooOld(from, current);

  const start = from === undefined ? 0 : all.findIndex((record) => record.key >= from.start);
  const candidates = start < 0 ? [] : start === 0 ? all : all.slice(start);
  const records: StoredRecord[] = [];
  let more = false;
  let seen = 0;
  let lastKey = "";
  for (const record of candidates) {
    if (limit > 0 && records.length === limit) {
      more = true;
      break;
    }
    seen += 1;
    lastKey = record.key;
    if (chosen.all || chosen.matches(record.object)) records.push(record);
  }
  const metadata: Json = { resourceVersion: String(revision) };
  if (more) {
    metadata.continue = encodeContinue({ v: "meta.k8s.io/v1", rv: revision, start: `${lastKey}\0` });
    // Nobody counts matches ahead: with selectors the number stays out.
    if (chosen.all) metadata.remainingItemCount = candidates.length - seen;
  }
  return { records, metadata };
}

function checkOptions(match: string, wanted: number | undefined, token: string): void {
  const causes: Cause[] = [];
  const bad = (message: string): void =>
    void causes.push({
      reason: "FieldValueForbidden",
      field: "resourceVersionMatch",
      message: `Forbidden: ${message}`,
    });
  if (match !== "") {
    if (wanted === undefined) bad("resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (token !== "") bad("resourceVersionMatch is forbidden when continue is provided");
    if (match !== "Exact" && match !== "NotOlderThan") {
      causes.push({
        reason: "FieldValueNotSupported",
        field: "resourceVersionMatch",
        message: `Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`,
      });
    }
    if (match === "Exact" && wanted === 0) bad('resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
  if (causes.length > 0) throw invalid(LIST_OPTIONS, "", causes);
  if (token !== "" && wanted !== undefined && wanted !== 0)
    throw badRequest("specifying resource version is not allowed when using continue");
}

function tooOld(from: Continue | undefined, current: number): Error {
  if (from === undefined) return expired("The resourceVersion for the provided list is too old.");
  return expired(
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    encodeContinue({ v: "meta.k8s.io/v1", rv: current, start: from.start }),
  );
}

function encodeContinue(token: Continue): string {
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function parseContinue(text: string): Continue {
  try {
    const token = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as Continue;
    if (token.v === "meta.k8s.io/v1" && typeof token.rv === "number" && typeof token.start === "string") return token;
  } catch {
    // Falls through to the refusal.
  }
  throw badRequest("invalid continue token: continue key is not valid: it is none that this server gave out");
}

/** The JSON of a list, from the records' own JSON. */
export function listJson(type: ResourceType, page: Page): string {
  const items = page.records.map((record) =>
    type.view === undefined ? record.json : JSON.stringify(shown(type, record.object)),
  );
  const head = `{"kind":${JSON.stringify(type.listKind)},"apiVersion":${JSON.stringify(apiVersionOf(type))},"metadata":${JSON.stringify(type.custom ? { continue: "", ...page.metadata } : page.metadata)},"items":[`;
  return `${head}${items.join(",")}]}`;
}
