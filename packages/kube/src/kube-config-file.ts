import { isAbsolute, join } from "node:path";

import { load } from "js-yaml";

import type { ExecConfig } from "./exec-credential.ts";

export interface ClusterEntry {
  readonly server?: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
  readonly "tls-server-name"?: string;
  readonly "proxy-url"?: string;
}

export interface UserEntry {
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly as?: string;
  readonly "as-uid"?: string;
  readonly "as-groups"?: readonly string[];
  readonly exec?: ExecConfig;
  readonly "auth-provider"?: { readonly name?: string };
}

interface ContextEntry {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

/** One context of one or several kubeconfig files, resolved. Paths are absolute. */
export interface ResolvedContext {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly cluster: ClusterEntry & { readonly server: string };
  readonly user: UserEntry;
}

type Named<K extends string, V> = { readonly name?: string } & { readonly [key in K]?: V };

interface KubeConfigFile {
  readonly "current-context"?: string;
  readonly clusters?: readonly Named<"cluster", ClusterEntry>[] | null;
  readonly users?: readonly Named<"user", UserEntry>[] | null;
  readonly contexts?: readonly Named<"context", ContextEntry>[] | null;
}

/** The same order as kubectl: over several files the first entry of a name wins, and the first current-context. */
export function resolveContext(
  files: readonly { readonly path: string; readonly directory: string; readonly text: string }[],
  wanted?: string,
): ResolvedContext {
  const where = files.map((file) => file.path).join(", ");
  const parsed = files.map((file) => ({ ...file, content: parseFile(file.path, file.text) }));
  const name = wanted ?? parsed.map(({ content }) => content["current-context"]).find(Boolean);
  if (!name) throw new Error(`${where}: current-context is empty; choose one with "kubectl config use-context"`);

  const find = <K extends "cluster" | "user" | "context", V>(
    kind: K,
    entry: string | undefined,
    of: (f: KubeConfigFile) => readonly Named<K, V>[],
  ) => {
    for (const { content, directory } of parsed)
      for (const item of of(content)) if (item.name === entry) return { value: (item[kind] ?? {}) as V, directory };
    throw new Error(
      `${where}: ${kind} ${JSON.stringify(entry)} is not there; add it or choose another context than ${JSON.stringify(name)}`,
    );
  };
  const context = find<"context", ContextEntry>("context", name, (f) => f.contexts ?? []).value;
  const cluster = find<"cluster", ClusterEntry>("cluster", context.cluster, (f) => f.clusters ?? []);
  const user = context.user
    ? find<"user", UserEntry>("user", context.user, (f) => f.users ?? [])
    : { value: {}, directory: "" };
  const { server } = cluster.value;
  if (!server || !URL.canParse(server))
    throw new Error(
      `${where}: server of cluster ${JSON.stringify(context.cluster)} is ${JSON.stringify(server)}; write a URL such as https://HOST:6443`,
    );
  const provider = user.value["auth-provider"]?.name;
  if (provider !== undefined)
    throw new Error(
      `${where}: auth-provider ${JSON.stringify(provider)} of user ${JSON.stringify(context.user)} left kubectl in 1.26; use its exec plugin, for Azure "kubelogin convert-kubeconfig"`,
    );
  return {
    name,
    namespace: context.namespace,
    cluster: { ...absolute(cluster.value, cluster.directory, ["certificate-authority"]), server },
    user: withExecPath(
      absolute(user.value, user.directory, ["client-certificate", "client-key", "tokenFile"]),
      user.directory,
    ),
  };
}

function parseFile(path: string, text: string): KubeConfigFile {
  let content: unknown;
  try {
    content = load(text);
  } catch (cause) {
    // js-yaml's message quotes the source, which may be a key; its reason and line do not.
    const { reason, mark } = cause as { reason?: string; mark?: { line?: number } };
    // oxlint-disable-next-line preserve-caught-error -- for the same reason
    throw new Error(
      `${path}: not YAML${mark?.line === undefined ? "" : `, line ${mark.line + 1}`}: ${reason ?? "unreadable"}; fix the kubeconfig`,
    );
  }
  if (typeof content !== "object" || content === null || Array.isArray(content))
    throw new Error(
      `${path}: no kubeconfig but ${content === null ? "null" : typeof content}; name a file with clusters, users and contexts`,
    );
  return content;
}

function absolute<E extends object>(entry: E, directory: string, fields: readonly (keyof E)[]): E {
  const result = { ...entry };
  for (const field of fields) {
    const path = entry[field];
    if (typeof path === "string" && path !== "" && !isAbsolute(path))
      result[field] = join(directory, path) as E[typeof field];
  }
  return result;
}

// As in client-go: a command with a slash is relative to its file, one without is looked up in PATH.
function withExecPath(user: UserEntry, directory: string): UserEntry {
  const { exec } = user;
  if (!exec?.command?.includes("/") || isAbsolute(exec.command)) return user;
  return { ...user, exec: { ...exec, command: join(directory, exec.command) } };
}
