import { applyPatch } from "rfc6902";
import type { Operation } from "rfc6902";
import type { Json, KubeObject } from "./json.ts";
import { isObject } from "./json.ts";
import { mergePatch } from "./merge-patch.ts";
import type { ResourceType } from "./resource-type.ts";
import { strategicPatch } from "./strategic-patch.ts";
import { ApiError, badRequest, unsupportedMediaType } from "./status.ts";

const JSON_PATCH = "application/json-patch+json";
const MERGE_PATCH = "application/merge-patch+json";
const STRATEGIC_PATCH = "application/strategic-merge-patch+json";

/** Refuses patches of a media type that the resource does not take. */
export function checkPatchType(type: ResourceType, contentType: string): void {
  const accepted = [JSON_PATCH, MERGE_PATCH, ...(type.custom ? [] : [STRATEGIC_PATCH])];
  if (!accepted.includes(contentType)) throw unsupportedMediaType(accepted);
}

/** What a patch of a given media type makes of an object. */
export function patched(contentType: string, body: unknown, present: KubeObject): unknown {
  if (contentType === JSON_PATCH) return jsonPatch(body, present);
  if (!isObject(body))
    throw badRequest(
      "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
    );
  return contentType === MERGE_PATCH ? mergePatch(present, body) : strategicPatch(present, body);
}

function jsonPatch(body: unknown, present: KubeObject): Json {
  if (
    !Array.isArray(body) ||
    !body.every(
      (operation) => isObject(operation) && typeof operation.op === "string" && typeof operation.path === "string",
    )
  ) {
    throw badRequest(
      "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
    );
  }
  if (body.length > 10_000) {
    throw new ApiError(
      413,
      "RequestEntityTooLarge",
      `The allowed maximum operations in a JSON patch is 10000, got ${body.length}`,
    );
  }
  const errors = applyPatch(present, body as Operation[]).filter((error) => error !== null);
  if (errors.length > 0)
    throw new ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {});
  return present;
}
