export interface ArmClientOptions {
  /** ARM of the cloud, as `https://management.azure.com`. */
  readonly endpoint?: string;
  /** Scope of the token; `<endpoint>/.default` when absent. */
  readonly scope?: string;
  readonly userAgent?: string;
}

/** What the SDK's clients have in common. Their own retries are off, because callers know better what to retry. */
export function clientOptions({ endpoint = "https://management.azure.com", scope, userAgent }: ArmClientOptions): {
  readonly scope: string;
  readonly options: {
    readonly endpoint: string;
    readonly retryOptions: { readonly maxRetries: number };
    readonly userAgentOptions?: { readonly userAgentPrefix: string };
  };
} {
  return {
    scope: scope ?? `${endpoint.replace(/\/+$/, "")}/.default`,
    options: {
      endpoint,
      retryOptions: { maxRetries: 0 },
      ...(userAgent !== undefined && { userAgentOptions: { userAgentPrefix: userAgent } }),
    },
  };
}
