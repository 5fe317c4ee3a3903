import type { PipelinePolicy } from "@azure/core-rest-pipeline";

/** Replaces the compute API version that the SDK has built in. URLs of operations come from ARM and keep theirs. */
export function apiVersionPolicy(apiVersion: string): PipelinePolicy {
  return {
    name: "podidApiVersionPolicy",
    sendRequest(request, next) {
      if (!/\/locations\/[^/]+\/operations\//i.test(request.url)) {
        const url = new URL(request.url);
        url.searchParams.set("api-version", apiVersion);
        request.url = url.href;
      }
      return next(request);
    },
  };
}
