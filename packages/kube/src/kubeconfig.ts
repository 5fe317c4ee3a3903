import type { RequestOptions as HttpsOptions } from "node:https";

import type { KubeConfig as ClientNodeKubeConfig } from "@kubernetes/client-node";

import type { ConnectionSource } from "./connection.ts";

/**
 * Connects through a `KubeConfig` of @kubernetes/client-node, for programs that already have one or need its
 * authenticators (OIDC refresh, own ones). The library is only used if the caller loaded it: importing it costs
 * some 80 MiB of memory.
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
      const options: HttpsOptions = {};
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

// client-node hands out Buffers and strings; the wider type is node:https's.
function text(value: HttpsOptions["ca"] | HttpsOptions["key"]): string | undefined {
  return typeof value === "string" || Buffer.isBuffer(value) ? value.toString() : undefined;
}
