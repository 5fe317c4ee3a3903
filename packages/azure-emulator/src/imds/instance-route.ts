import type { WireReply, WireRequest } from "../http/wire.ts";
import { parameter } from "../http/wire.ts";
import type { JsonValue } from "../json.ts";
import { isJsonObject } from "../json.ts";
import type { Machine } from "../state/compute-store.ts";
import { instanceDocument } from "./instance-document.ts";
import { json, metadataError, text } from "./replies.ts";

/** `GET /metadata/instance[/path]`: a subtree as JSON, or a leaf (or the names below a node) as text. */
export function instanceReply(machine: Machine, request: WireRequest, version: string): WireReply {
  const format = parameter(request.query, "format") ?? "json";
  if (format !== "json" && format !== "text") return metadataError(400, "Bad request. format is invalid");
  const path = request.path
    .split("/")
    .filter((segment) => segment !== "")
    .slice(2);
  const node = find(instanceDocument(machine, version), path);
  if (node === undefined) return metadataError(404, "Not found");
  if (format === "json")
    return typeof node === "object"
      ? json(200, node)
      : metadataError(400, "Bad request. A leaf can only be read with format=text");
  return text(200, typeof node === "object" ? names(node) : String(node));
}

function find(root: JsonValue, path: readonly string[]): JsonValue | undefined {
  let node: JsonValue | undefined = root;
  for (const segment of path) {
    if (Array.isArray(node)) node = /^\d+$/.test(segment) ? (node as readonly JsonValue[])[Number(segment)] : undefined;
    else if (isJsonObject(node))
      node = node[Object.keys(node).find((name) => name.toLowerCase() === segment.toLowerCase()) ?? ""];
    else return undefined;
  }
  return node;
}

/** A node's children, one per line; a slash marks those that have children themselves. */
function names(node: JsonValue): string {
  const children = Object.entries(node ?? {}) as [string, JsonValue][];
  return children.map(([name, child]) => (typeof child === "object" ? `${name}/` : name)).join("\n");
}
