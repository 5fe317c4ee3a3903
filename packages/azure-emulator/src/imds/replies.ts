import { randomUUID } from "node:crypto";
import type { WireReply } from "../http/wire.ts";

const SERVER = "IMDS/150.870.65.1854";

function reply(status: number, type: string, body: string, reason?: string): WireReply {
  return {
    status,
    headers: [
      ["Content-Type", type],
      ["Server", SERVER],
      ["x-ms-request-id", randomUUID()],
    ],
    body,
    ...(reason === undefined ? {} : { reason }),
  };
}

export function json(status: number, value: unknown): WireReply {
  return reply(status, "application/json; charset=utf-8", JSON.stringify(value));
}

export function text(status: number, body: string): WireReply {
  return reply(status, "text/plain; charset=utf-8", body);
}

/** Errors of `/metadata/identity`, byte by byte. */
export function identityError(status: number, error: string, description: string): WireReply {
  return json(status, { error, error_description: description });
}

/** Errors of everything else; IMDS writes these with blanks inside the braces. */
export function metadataError(status: number, message: string): WireReply {
  return reply(status, "application/json; charset=utf-8", `{ "error": ${JSON.stringify(message)} }`);
}

export const REQUIRED_HEADER = "Required metadata header not specified";

/** The reason phrase is empty on the wire, and there is no Retry-After. */
export function throttled(): WireReply {
  return reply(
    429,
    "application/json; charset=utf-8",
    JSON.stringify({ error: "invalid_request", error_description: "Temporarily throttled, too many requests" }),
    "",
  );
}

export function missingParameter(name: string): WireReply {
  return identityError(400, "invalid_request", `Required query variable '${name}' is missing`);
}

export function identityNotFound(): WireReply {
  return identityError(400, "invalid_request", "Identity not found");
}

export function ambiguousIdentity(): WireReply {
  return identityError(
    400,
    "invalid_request",
    "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request",
  );
}

export function unknownIdentityPath(): WireReply {
  return json(404, { error: "Not Found" });
}

/** The web server in front of IMDS refuses verbs by itself. */
export function methodNotAllowed(): WireReply {
  const title = "405 - HTTP verb used to access this page is not allowed.";
  return {
    status: 405,
    headers: [
      ["Allow", "GET, HEAD, OPTIONS, TRACE"],
      ["Content-Type", "text/html"],
      ["Server", "Microsoft-IIS/10.0"],
    ],
    body: `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\r\n<html xmlns="http://www.w3.org/1999/xhtml">\r\n<head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1"/>\r\n<title>${title}</title>\r\n</head>\r\n<body>\r\n<div id="header"><h1>Server Error</h1></div>\r\n<div id="content">\r\n <div class="content-container"><fieldset>\r\n  <h2>${title}</h2>\r\n  <h3>The page you are looking for cannot be displayed because an invalid method (HTTP verb) was used to attempt access.</h3>\r\n </fieldset></div>\r\n</div>\r\n</body>\r\n</html>\r\n`,
  };
}

/** What WireServer answers while IMDS itself restarts. */
export function wireServerError(): WireReply {
  return {
    status: 500,
    headers: [
      ["Content-Type", "text/plain; charset=utf-8"],
      ["Server", "Microsoft-IIS/10.0"],
    ],
    body: "",
  };
}
