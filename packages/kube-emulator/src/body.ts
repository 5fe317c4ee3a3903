import type { IncomingMessage } from "node:http";
import { parse } from "yaml";
import { decodeProtobuf } from "./protobuf.ts";
import { ApiError, badRequest, unsupportedMediaType } from "./status.ts";

/** kube-apiserver's own limit for a request body. */
const LIMIT = 3 * 1024 * 1024;

const PROTOBUF = "application/vnd.kubernetes.protobuf";
const ACCEPTED = ["application/json", "application/yaml", PROTOBUF];

/** The media type without its parameters; JSON where nobody says. */
export function mediaType(request: IncomingMessage): string {
  return (
    (request.headers["content-type"] ?? "application/json").split(";")[0]?.trim().toLowerCase() || "application/json"
  );
}

/** Reads and parses a body; undefined when it is empty. */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMIT) throw new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${LIMIT}`);
    chunks.push(chunk);
  }
  if (size === 0) return undefined;
  const bytes = Buffer.concat(chunks);
  const media = mediaType(request);
  if (media === PROTOBUF) return fromProtobuf(bytes);
  const text = bytes.toString("utf8");
  const yaml = media === "application/yaml" || media.endsWith("+yaml");
  if (!yaml && media !== "application/json" && !media.endsWith("+json")) throw unsupportedMediaType(ACCEPTED);
  try {
    return yaml ? parse(text) : JSON.parse(text);
  } catch (error) {
    throw badRequest(
      `the object provided is unrecognized: couldn't get version/kind; ${yaml ? "yaml" : "json"} parse error: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function fromProtobuf(bytes: Buffer): unknown {
  let decoded: unknown;
  try {
    decoded = decodeProtobuf(bytes);
  } catch (error) {
    throw badRequest(
      `couldn't parse the request body as protobuf: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (decoded === undefined) throw unsupportedMediaType(ACCEPTED);
  return decoded;
}
