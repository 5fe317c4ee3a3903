import { badRequest } from "./status.ts";

/** What a URL asks for, in the words of Kubernetes' audit log. */
export interface RequestInfo {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** get, list, watch, create, update, patch, delete, deletecollection; for other paths the lower-cased method. */
  readonly verb: string;
  readonly isResource: boolean;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
}

const VERBS: Readonly<Record<string, string>> = {
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
  GET: "get",
  HEAD: "get",
};

/** Reads method and URL (path and query as sent). */
export function requestInfo(method: string, url: string): RequestInfo {
  const mark = url.indexOf("?");
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1));
  const parts = segments(path);
  const other = {
    method,
    path,
    query,
    verb: method.toLowerCase(),
    isResource: false,
    group: "",
    version: "",
    resource: "",
    namespace: "",
    name: "",
    subresource: "",
  };

  const prefix = parts[0] === "api" ? 2 : parts[0] === "apis" ? 3 : 0;
  if (prefix === 0 || parts.length <= prefix) return other;
  const group = prefix === 2 ? "" : (parts[1] as string);
  const version = parts[prefix - 1] as string;
  let rest = parts.slice(prefix);
  // The long deprecated form /api/v1/watch/...
  const oldWatch = rest[0] === "watch";
  if (oldWatch) rest = rest.slice(1);

  let namespace = "";
  // Below a namespace comes a resource, unless it is a subresource of the namespace itself.
  if (
    rest[0] === "namespaces" &&
    rest.length > 2 &&
    !(group === "" && ["status", "finalize"].includes(rest[2] as string))
  ) {
    namespace = rest[1] as string;
    rest = rest.slice(2);
  }
  const [resource = "", name = "", ...sub] = rest;
  if (group === "" && resource === "namespaces") namespace = name;

  let verb = VERBS[method] ?? method.toLowerCase();
  const watch = query.get("watch");
  if (verb === "get" && (oldWatch || (watch !== null && watch !== "0" && watch !== "false"))) verb = "watch";
  else if (verb === "get" && name === "") verb = "list";
  else if (verb === "delete" && name === "") verb = "deletecollection";
  return {
    method,
    path,
    query,
    verb,
    isResource: true,
    group,
    version,
    resource,
    namespace,
    name,
    subresource: sub.join("/"),
  };
}

function segments(path: string): string[] {
  try {
    return path
      .split("/")
      .filter((part) => part !== "")
      .map(decodeURIComponent);
  } catch {
    throw badRequest(`the path ${JSON.stringify(path)} is not a valid URL path`);
  }
}
