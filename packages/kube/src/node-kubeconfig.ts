import { resolve } from "node:path";

import type { Clock } from "./clock.ts";
import type { ConnectionSource } from "./connection.ts";
import { nodeConnection } from "./node-connection.ts";
import { readKubeConfigText } from "./kubeconfig-text.ts";
import { resolveNodeContext } from "./node-kubeconfig-file.ts";
import { inClusterContext, SERVICE_ACCOUNT } from "./service-account-mount.ts";

/**
 * For programs that run on every node and must be small: the named kubeconfig, else the pod's ServiceAccount.
 * Certificates, keys and tokens in files are read again at most 10 s after they changed, and at once after a 401.
 * Every other program uses `loadKubeConfig` of `@podid/kube/kubeconfig`, which knows every kind of kubeconfig.
 *
 * Throws an Error that names the file or field which is wrong, or is not supported here, and what to do.
 */
export function loadNodeKubeConfig(path?: string, options: { readonly clock?: Clock } = {}): ConnectionSource {
  if (path)
    return nodeConnection(resolveNodeContext(readKubeConfigText(path, "name one file that exists")), options.clock);
  const pod = inClusterContext();
  if (!pod)
    throw new Error(
      `no kubeconfig was named, and this is no pod with a ServiceAccount (${SERVICE_ACCOUNT}/token, KUBERNETES_SERVICE_HOST); pass --kubeconfig`,
    );
  return nodeConnection(pod, options.clock);
}

/** From the text of one kubeconfig; relative paths in it start at `directory`. Throws as `loadNodeKubeConfig` does. */
export function parseNodeKubeConfig(
  text: string,
  options: { readonly directory?: string; readonly clock?: Clock } = {},
): ConnectionSource {
  const directory = resolve(options.directory ?? ".");
  return nodeConnection(resolveNodeContext({ path: "kubeconfig", directory, text }), options.clock);
}
