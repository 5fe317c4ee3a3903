import { isAbsolute, join } from "node:path";

import { parseKubeConfigText } from "./kubeconfig-text.ts";
import type { Entry, KubeConfigText } from "./kubeconfig-text.ts";

const CLUSTER_FIELDS = ["server", "certificate-authority", "certificate-authority-data"] as const;
const USER_FIELDS = [
  "client-certificate",
  "client-certificate-data",
  "client-key",
  "client-key-data",
  "token",
  "tokenFile",
] as const;
/** They change nothing here: notes of tools, and a wish about compression, which is never asked for. */
const WITHOUT_EFFECT = ["extensions", "disable-compression"];

/** The API server and the credentials of a node agent. Paths are absolute. */
export interface NodeContext {
  readonly cluster: Fields<(typeof CLUSTER_FIELDS)[number]> & { readonly server: string };
  readonly user: Fields<(typeof USER_FIELDS)[number]>;
}

type Fields<F extends string> = { readonly [field in F]?: string };

/** The current context. Throws an Error that names the first field which is missing, wrong or beyond what is supported. */
export function resolveNodeContext(file: KubeConfigText): NodeContext {
  const where = file.path;
  const content = parseKubeConfigText(file);
  const name = content["current-context"];
  if (!name) throw new Error(`${where}: current-context is empty; choose one with "kubectl config use-context"`);
  const missing = (kind: string, entry: unknown) =>
    new Error(
      `${where}: ${kind} ${JSON.stringify(entry)} is not there; add it or choose another context than ${JSON.stringify(name)}`,
    );
  const context = content.contexts?.find((each) => each.name === name)?.context;
  if (!context) throw missing("context", name);
  const cluster = content.clusters?.find((each) => each.name === context["cluster"])?.cluster;
  if (!cluster) throw missing("cluster", context["cluster"]);
  const user = content.users?.find((each) => each.name === context["user"])?.user;
  if (context["user"] && !user) throw missing("user", context["user"]);

  const clusterPath = `${where}: clusters[${JSON.stringify(context["cluster"])}].cluster`;
  const { server, ...trust } = supported(clusterPath, cluster, CLUSTER_FIELDS, file.directory);
  if (!server || !URL.canParse(server))
    throw new Error(`${clusterPath}.server is ${JSON.stringify(server)}; write a URL such as https://HOST:6443`);
  const userPath = `${where}: users[${JSON.stringify(context["user"])}].user`;
  return { cluster: { server, ...trust }, user: supported(userPath, user ?? {}, USER_FIELDS, file.directory) };
}

function supported<F extends string>(where: string, entry: Entry, fields: readonly F[], directory: string): Fields<F> {
  const result: { [field in F]?: string } = {};
  for (const [field, value] of Object.entries(entry)) {
    // As in client-go, empty is the same as absent.
    if (value === null || value === "" || value === false || WITHOUT_EFFECT.includes(field)) continue;
    if (!isOneOf(fields, field))
      throw new Error(
        `${where}.${field} is set, but this program, a node agent, supports only ${fields.join(", ")}; ` +
          "name a kubeconfig with these, such as kubelet's, or run it inside a pod with a ServiceAccount",
      );
    if (typeof value !== "string")
      throw new Error(`${where}.${field} is no string but ${typeof value}; write a string`);
    result[field] = PATHS.has(field) && !isAbsolute(value) ? join(directory, value) : value;
  }
  return result;
}

const PATHS: ReadonlySet<string> = new Set(["certificate-authority", "client-certificate", "client-key", "tokenFile"]);

function isOneOf<F extends string>(fields: readonly F[], field: string): field is F {
  return (fields as readonly string[]).includes(field);
}
