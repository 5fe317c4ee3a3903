import { existsSync, readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";

import { CachedFile } from "./cached-file.ts";
import { systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { Connection, ConnectionSource } from "./connection.ts";
import { ExecCredentials } from "./exec-credential.ts";
import { resolveContext } from "./kube-config-file.ts";
import type { ResolvedContext } from "./kube-config-file.ts";

/** Where kubelet mounts a pod's ServiceAccount. */
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

type Text = (refresh: boolean) => Promise<string | undefined>;

/** One API server and one user of it, from a kubeconfig or a pod's ServiceAccount. */
export class KubeConfig implements ConnectionSource {
  readonly server: string;
  readonly proxyUrl: string | undefined;
  /** Name of the context, `in-cluster` for a ServiceAccount. */
  readonly context: string;
  /** The context's or the pod's namespace. */
  readonly namespace: string | undefined;
  readonly #resolved: ResolvedContext;
  readonly #ca: Text;
  readonly #cert: Text;
  readonly #key: Text;
  readonly #token: Text;
  readonly #exec: ExecCredentials | undefined;

  constructor(resolved: ResolvedContext, clock: Clock = systemClock) {
    const { cluster, user } = resolved;
    this.#resolved = resolved;
    this.server = cluster.server;
    this.proxyUrl = cluster["proxy-url"];
    this.context = resolved.name;
    this.namespace = resolved.namespace;
    this.#ca = content(cluster["certificate-authority-data"], cluster["certificate-authority"], clock);
    this.#cert = content(user["client-certificate-data"], user["client-certificate"], clock);
    this.#key = content(user["client-key-data"], user["client-key"], clock);
    this.#token = user.tokenFile ? content(undefined, user.tokenFile, clock) : () => Promise.resolve(user.token);
    this.#exec = user.exec && new ExecCredentials(user.exec, clusterInfo(cluster), clock);
  }

  async connection({ refresh }: { refresh: boolean }): Promise<Connection> {
    const { cluster, user } = this.#resolved;
    const [ca, cert, key, token, plugin] = await Promise.all([
      this.#ca(refresh),
      this.#cert(refresh),
      this.#key(refresh),
      this.#token(refresh),
      this.#exec?.get(refresh),
    ]);
    const headers: Record<string, string | readonly string[]> = {};
    const bearer = (plugin?.token ?? token)?.trim();
    if (bearer) headers["authorization"] = `Bearer ${bearer}`;
    else if (user.username)
      headers["authorization"] = `Basic ${Buffer.from(`${user.username}:${user.password ?? ""}`).toString("base64")}`;
    if (user.as) headers["impersonate-user"] = user.as;
    if (user["as-uid"]) headers["impersonate-uid"] = user["as-uid"];
    if (user["as-groups"]?.length) headers["impersonate-group"] = user["as-groups"];
    return {
      headers,
      tls: {
        ca,
        cert: plugin?.clientCertificateData ?? cert,
        key: plugin?.clientKeyData ?? key,
        servername: cluster["tls-server-name"],
        rejectUnauthorized: cluster["insecure-skip-tls-verify"] ? false : undefined,
      },
    };
  }
}

/**
 * The named file; else, inside a pod, its ServiceAccount; else `KUBECONFIG` (a list of files), else `~/.kube/config`.
 *
 * Throws an Error that says which file or field is wrong and what to do.
 */
export function loadKubeConfig(
  path?: string,
  options: { readonly context?: string; readonly clock?: Clock } = {},
): KubeConfig {
  const { context, clock } = options;
  if (path === undefined || path === "") {
    const pod = inClusterContext();
    if (pod) return new KubeConfig(pod, clock);
  }
  const paths = path ? [path] : defaultPaths();
  const files = paths.map((file) => ({ path: file, directory: dirname(resolve(file)), text: readConfigFile(file) }));
  return new KubeConfig(resolveContext(files, context), clock);
}

/** From the text of one kubeconfig; relative paths in it start at `directory`. */
export function parseKubeConfig(
  text: string,
  options: { readonly directory?: string; readonly context?: string; readonly clock?: Clock } = {},
): KubeConfig {
  const file = { path: "kubeconfig", directory: resolve(options.directory ?? "."), text };
  return new KubeConfig(resolveContext([file], options.context), options.clock);
}

/** What a pod finds around itself; undefined outside of one. `root` is where kubelet mounts the ServiceAccount. */
export function inClusterContext(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  root = SERVICE_ACCOUNT,
): ResolvedContext | undefined {
  const host = environment["KUBERNETES_SERVICE_HOST"];
  const port = environment["KUBERNETES_SERVICE_PORT"];
  const tokenFile = join(root, "token");
  if (!host || !port || !existsSync(tokenFile)) return undefined;
  const namespaceFile = join(root, "namespace");
  return {
    name: "in-cluster",
    namespace: existsSync(namespaceFile) ? readFileSync(namespaceFile, "utf8").trim() : undefined,
    cluster: {
      server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
      "certificate-authority": join(root, "ca.crt"),
    },
    user: { tokenFile },
  };
}

function defaultPaths(): string[] {
  const listed = (process.env["KUBECONFIG"] ?? "").split(delimiter).filter(Boolean);
  // kubectl skips files of the list that do not exist.
  const present = listed.filter((file) => existsSync(file));
  if (listed.length > 0) return present.length > 0 ? present : listed;
  return [join(homedir(), ".kube", "config")];
}

function readConfigFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Error(
      `cannot read the kubeconfig ${path}: ${(cause as Error).message}; pass --kubeconfig, set KUBECONFIG, or run inside a pod`,
      { cause },
    );
  }
}

function content(data: string | undefined, path: string | undefined, clock: Clock): Text {
  if (data) {
    const text = Buffer.from(data, "base64").toString("utf8");
    return () => Promise.resolve(text);
  }
  if (!path) return () => Promise.resolve(undefined);
  const file = new CachedFile(path, clock);
  return (refresh) => file.read(refresh);
}

// The `Cluster` of client.authentication.k8s.io.
function clusterInfo(cluster: ResolvedContext["cluster"]): object {
  const file = cluster["certificate-authority"];
  return {
    server: cluster.server,
    "tls-server-name": cluster["tls-server-name"],
    "insecure-skip-tls-verify": cluster["insecure-skip-tls-verify"],
    "certificate-authority-data":
      cluster["certificate-authority-data"] ??
      (file && existsSync(file) ? readFileSync(file).toString("base64") : undefined),
    "proxy-url": cluster["proxy-url"],
  };
}
