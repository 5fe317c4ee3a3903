import type { IncomingMessage, ServerResponse } from "node:http";
import type { AuditEntry } from "./audit-log.ts";
import type { Json } from "./json.ts";
import type { RequestInfo } from "./request.ts";
import type { WriteOptions } from "./resource-storage.ts";
import type { User } from "./service-account-token.ts";
import type { Cause } from "./status.ts";
import { invalid } from "./status.ts";

/** A request with everything that is known about it. */
export interface Call {
  readonly info: RequestInfo;
  readonly user: User;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly warnings: string[];
  /** Where the request is recorded. */
  readonly entry: AuditEntry;
}

/** Reads dryRun and fieldValidation of a writing request. */
export function writeOptions(call: Call): WriteOptions {
  const { query } = call.info;
  const kind = { create: "CreateOptions", update: "UpdateOptions", patch: "PatchOptions" }[call.info.verb];
  const refuse = (field: string, value: unknown, supported: string): Error => {
    const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`;
    const cause: Cause = { reason: "FieldValueNotSupported", field, message };
    return invalid({ group: "meta.k8s.io", kind: kind ?? "DeleteOptions" }, "", [cause]);
  };
  const dryRun = query.getAll("dryRun").filter((value) => value !== "");
  if (dryRun.some((value) => value !== "All")) throw refuse("dryRun", dryRun, '"All"');
  const validation = query.get("fieldValidation") ?? "";
  if (!["", "Strict", "Warn", "Ignore"].includes(validation)) {
    throw refuse("fieldValidation", validation, '"", "Ignore", "Strict", "Warn"');
  }
  return {
    dryRun: dryRun.length > 0,
    fieldValidation: validation === "Strict" || validation === "Ignore" ? validation : "Warn",
    warn: (text) => void call.warnings.push(text),
  };
}

/** Answers with JSON that is there already, warnings included. */
export function sendRaw({ response, warnings, entry }: Call, code: number, body: string): void {
  // RFC 7234 warn-code 299 with an unknown agent, as kube-apiserver writes it.
  if (warnings.length > 0)
    response.setHeader(
      "warning",
      warnings.map((text) => `299 - ${JSON.stringify(text)}`),
    );
  const bytes = Buffer.from(body);
  response.writeHead(code, {
    "content-type": "application/json",
    "cache-control": "no-cache, private",
    "content-length": bytes.length,
  });
  entry.bytes += bytes.length;
  response.end(bytes);
}

export function sendJson(
  response: ServerResponse,
  code: number,
  body: Json,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { "content-type": "application/json", "cache-control": "no-cache, private", ...headers });
  response.end(JSON.stringify(body));
}

export function sendText(response: ServerResponse, code: number, body: string): void {
  response.writeHead(code, { "content-type": "text/plain; charset=utf-8" });
  response.end(body);
}

/** What kube-apiserver says about paths that no handler claims. */
export function sendUnknownPath(response: ServerResponse): void {
  sendText(response, 404, "404 page not found\n");
}
