import { isAbsolute, join } from "node:path";

import { KubeConfig } from "@kubernetes/client-node";

import { parseKubeConfigText } from "./kubeconfig-text.ts";
import type { KubeConfigText } from "./kubeconfig-text.ts";
import { podSurroundings, SERVICE_ACCOUNT } from "./service-account-mount.ts";

/** kubectl obeys these fields and @kubernetes/client-node 2.0 reads over them: whoever set one would ask as somebody else. */
const IGNORED_BY_LIBRARY = ["as-uid", "as-groups", "as-user-extra"];

/** The pod's ServiceAccount; undefined outside of a pod. `prefix` is put before the mount's path. */
export function inClusterConfig(prefix = ""): KubeConfig | undefined {
  if (!podSurroundings(process.env, prefix + SERVICE_ACCOUNT)) return undefined;
  const config = new KubeConfig();
  config.loadFromCluster(prefix);
  return config;
}

/** One or several files as one; the first current-context counts, as for kubectl. Throws an Error that names file and field. */
export function configFromTexts(files: readonly KubeConfigText[], context?: string): KubeConfig {
  const config = new KubeConfig();
  for (const file of files) {
    const one = configFromText(file);
    explained(file.path, () => config.mergeConfig(one, Boolean(config.currentContext)));
  }
  if (context) config.setCurrentContext(context);
  check(config, files.map((file) => file.path).join(", "));
  return config;
}

/** The same without anything its authenticators remember, so that files are read and plugins asked again. */
export function forgetful({ clusters, users, contexts, currentContext }: KubeConfig): KubeConfig {
  const config = new KubeConfig();
  config.loadFromOptions({ clusters, users, contexts, currentContext });
  return config;
}

function configFromText(file: KubeConfigText): KubeConfig {
  const users = new Map(parseKubeConfigText(file).users?.map(({ name, user }) => [name, user ?? {}]));
  const config = new KubeConfig();
  explained(file.path, () => config.loadFromString(file.text));
  config.makePathsAbsolute(file.directory);
  // The library reads a tokenFile again and again, but knows it only under the name that it gives the one of a pod.
  config.users = config.users.map((user) => {
    const fields = users.get(user.name) ?? {};
    for (const field of IGNORED_BY_LIBRARY)
      if (fields[field])
        throw new Error(
          `${file.path}: users[${JSON.stringify(user.name)}].user.${field} is not supported by @kubernetes/client-node; remove it`,
        );
    const { tokenFile } = fields;
    if (typeof tokenFile !== "string" || tokenFile === "") return user;
    const { token: _, ...rest } = user;
    const path = isAbsolute(tokenFile) ? tokenFile : join(file.directory, tokenFile);
    return { ...rest, authProvider: { name: "tokenFile", config: { tokenFile: path } } };
  });
  return config;
}

/** The library finds these out late or not at all: without a user it would even leave the cluster's CA out. */
function check(config: KubeConfig, where: string): void {
  const name = config.currentContext;
  if (!name) throw new Error(`${where}: current-context is empty; choose one with "kubectl config use-context"`);
  const missing = (kind: string, entry: string) =>
    new Error(
      `${where}: ${kind} ${JSON.stringify(entry)} is not there; add it or choose another context than ${JSON.stringify(name)}`,
    );
  const context = config.getContextObject(name);
  if (!context) throw missing("context", name);
  const cluster = config.getCluster(context.cluster);
  if (!cluster) throw missing("cluster", context.cluster);
  if (!config.getUser(context.user)) throw missing("user", context.user ?? "");
  const server = `${where}: server of cluster ${JSON.stringify(cluster.name)} is ${JSON.stringify(cluster.server)}`;
  if (!URL.canParse(cluster.server)) throw new Error(`${server}; write a URL such as https://HOST:6443`);
  if (cluster.server.startsWith("http:") && !cluster.skipTLSVerify)
    throw new Error(`${server}; write https, or insecure-skip-tls-verify: true beside it if it shall not be encrypted`);
  if (cluster.proxyUrl && !/^https?:/.test(cluster.proxyUrl))
    throw new Error(
      `${where}: proxy-url of cluster ${JSON.stringify(cluster.name)} is ${JSON.stringify(cluster.proxyUrl)}; write http://HOST:PORT or https://HOST:PORT`,
    );
}

function explained(path: string, load: () => void): void {
  try {
    load();
  } catch (cause) {
    throw new Error(`${path}: ${(cause as Error).message}; fix the kubeconfig`, { cause });
  }
}
