import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";

import { configFromTexts, inClusterConfig } from "./client-node-config.ts";
import type { ConnectionSource } from "./connection.ts";
import { readKubeConfigText } from "./kubeconfig-text.ts";
import { refreshable } from "./refreshable-connection.ts";

export { connectionFromClientNode } from "./client-node-connection.ts";
export type { ClientNodeKubeConfig } from "./client-node-connection.ts";

/** What can be chosen when a kubeconfig is loaded. */
export interface KubeConfigOptions {
  /** Default: the file's current-context. */
  readonly context?: string;
}

/**
 * The named kubeconfig; else, inside a pod, its ServiceAccount; else `KUBECONFIG` (a list of files), else `~/.kube/config`.
 * Read by @kubernetes/client-node. A token's file is read again every minute, and after a 401 at once; then credential
 * plugins are asked again too.
 *
 * Throws an Error that says which file or field is wrong and what to do.
 */
export function loadKubeConfig(path?: string, options: KubeConfigOptions = {}): ConnectionSource {
  const pod = path ? undefined : inClusterConfig();
  if (pod) return refreshable(pod);
  const advice = "pass --kubeconfig, set KUBECONFIG, or run inside a pod";
  const files = (path ? [path] : defaultPaths()).map((file) => readKubeConfigText(file, advice));
  return refreshable(configFromTexts(files, options.context));
}

/** From the text of one kubeconfig; relative paths in it start at `directory`. Throws as `loadKubeConfig` does. */
export function parseKubeConfig(
  text: string,
  options: KubeConfigOptions & { readonly directory?: string } = {},
): ConnectionSource {
  const directory = resolve(options.directory ?? ".");
  return refreshable(configFromTexts([{ path: "kubeconfig", directory, text }], options.context));
}

function defaultPaths(): string[] {
  const listed = (process.env["KUBECONFIG"] ?? "").split(delimiter).filter(Boolean);
  // kubectl skips files of the list that do not exist; the library does not.
  const present = listed.filter((file) => existsSync(file));
  if (listed.length > 0) return present.length > 0 ? present : listed;
  return [join(homedir(), ".kube", "config")];
}
