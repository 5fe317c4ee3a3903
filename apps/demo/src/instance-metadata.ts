import type { Check } from "./check.ts";
import { describeError, describeResponse } from "./failure.ts";
import { get } from "./metadata-service.ts";
import type { MetadataService } from "./metadata-service.ts";

/** Reads the node's instance metadata, which NMI passes through unless told otherwise. */
export function instanceMetadata(service: MetadataService): Check {
  return async (signal) => {
    const problem = await read(service, signal);
    return problem === undefined
      ? { ok: true, message: "successfully made GET on instance metadata" }
      : { ok: false, message: `failed GET on instance metadata: ${problem}` };
  };
}

async function read(service: MetadataService, signal: AbortSignal): Promise<string | undefined> {
  try {
    const response = await get(service, "/metadata/instance", { "api-version": "2021-02-01" }, signal);
    if (!response.ok) return await describeResponse(response);
    const { compute } = (await response.json()) as { compute?: unknown };
    return compute === undefined ? "200, but the answer holds no compute section" : undefined;
  } catch (error) {
    return describeError(error);
  }
}
