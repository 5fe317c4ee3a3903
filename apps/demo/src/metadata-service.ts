/** Where the Instance Metadata Service answers, and how long it may take. */
export interface MetadataService {
  /** Without slash at its end, e.g. `http://169.254.169.254`. */
  readonly origin: string;
  /** Longer than NMI parks a request of a pod whose identity is being attached. */
  readonly timeoutMs: number;
}

export const METADATA_ORIGIN = "http://169.254.169.254";

/** GET with the header that IMDS insists on. Rejects when nothing answers in time. */
export function get(
  service: MetadataService,
  path: string,
  query: Record<string, string>,
  signal: AbortSignal,
): Promise<Response> {
  return fetch(`${service.origin}${path}?${new URLSearchParams(query).toString()}`, {
    headers: { Metadata: "true" },
    redirect: "error",
    signal: AbortSignal.any([signal, AbortSignal.timeout(service.timeoutMs)]),
  });
}
