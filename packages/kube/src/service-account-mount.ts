import { existsSync } from "node:fs";
import { isIPv6 } from "node:net";
import { join } from "node:path";

import type { NodeContext } from "./node-kubeconfig-file.ts";

/** Where kubelet mounts a pod's ServiceAccount; other libraries have the same path in them. */
export const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

type Environment = Readonly<Record<string, string | undefined>>;

/** Host and port of the API server as kubelet tells a pod that has a ServiceAccount's token; undefined outside of one. */
export function podSurroundings(
  environment: Environment,
  folder: string,
): { readonly host: string; readonly port: string } | undefined {
  const host = environment["KUBERNETES_SERVICE_HOST"];
  const port = environment["KUBERNETES_SERVICE_PORT"];
  return host && port && existsSync(join(folder, "token")) ? { host, port } : undefined;
}

/** What a pod finds around itself; undefined outside of one. */
export function inClusterContext(
  environment: Environment = process.env,
  folder = SERVICE_ACCOUNT,
): NodeContext | undefined {
  const api = podSurroundings(environment, folder);
  return (
    api && {
      cluster: {
        server: `https://${isIPv6(api.host) ? `[${api.host}]` : api.host}:${api.port}`,
        "certificate-authority": join(folder, "ca.crt"),
      },
      user: { tokenFile: join(folder, "token") },
    }
  );
}
