import type { ConnectionSource } from "./connection.ts";

/** What is used of a `KubeConfig` of @kubernetes/client-node, spelled out so that nobody needs that library for its types. */
export interface ClientNodeKubeConfig {
  getCurrentContext(): string;
  getCurrentCluster(): { readonly server: string; readonly proxyUrl?: string } | null;
  /** Sets headers and TLS options as its authenticators want them. */
  applyToHTTPSOptions(options: object): Promise<void>;
}

/** The fields of node:https's options that client-node sets. */
interface AppliedOptions {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly auth?: string;
  readonly ca?: unknown;
  readonly cert?: unknown;
  readonly key?: unknown;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/**
 * Connects through a `KubeConfig` of @kubernetes/client-node, for programs that already have one or need its
 * authenticators (OIDC refresh, own ones).
 *
 * Throws when the current context names no cluster.
 */
export function connectionFromClientNode(config: ClientNodeKubeConfig): ConnectionSource {
  const cluster = config.getCurrentCluster();
  if (!cluster)
    throw new Error(
      `kubeconfig: current-context ${JSON.stringify(config.getCurrentContext())} names no cluster; call setCurrentContext`,
    );
  return {
    server: cluster.server,
    proxyUrl: cluster.proxyUrl,
    async connection() {
      const options: AppliedOptions = {};
      await config.applyToHTTPSOptions(options);
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(options.headers ?? {}))
        headers[name.toLowerCase()] = String(value).trim();
      if (options.auth) headers["authorization"] ??= `Basic ${Buffer.from(options.auth).toString("base64")}`;
      return {
        headers,
        tls: {
          ca: text(options.ca),
          cert: text(options.cert),
          key: text(options.key),
          servername: options.servername,
          rejectUnauthorized: options.rejectUnauthorized,
        },
      };
    },
  };
}

function text(value: unknown): string | undefined {
  return typeof value === "string" || Buffer.isBuffer(value) ? value.toString() : undefined;
}
