import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";

/** What the node's network configuration says about who shares a layer 2 with whom. */
export type SharedLayer2 =
  | { readonly kind: "kubenet"; readonly file: string }
  /** Another network in which pods hang on one bridge. */
  | { readonly kind: "bridge"; readonly file: string }
  | { readonly kind: "none" };

const EXTENSIONS = new Set([".conf", ".conflist", ".json"]);

/**
 * Finds kubenet in the CNI configuration. AKS's kubenet nodes have run containerd with a bridge `cbr0` in a network named
 * kubenet since Kubernetes 1.24, when kubelet's own flag for it was removed. The runtime takes the first file by name
 * that it can read, and so does this. A directory that does not exist says nothing.
 * @throws when it exists and cannot be read
 */
export async function findSharedLayer2(directory: string): Promise<SharedLayer2> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "none" };
    throw error;
  }
  for (const name of names.filter((one) => EXTENSIONS.has(extname(one))).toSorted()) {
    const file = join(directory, name);
    const network = readNetwork(await readFile(file, "utf8"));
    if (network !== undefined) return { kind: judge(network), file };
  }
  return { kind: "none" };
}

interface Plugin {
  readonly type?: unknown;
  readonly bridge?: unknown;
}

interface Network extends Plugin {
  readonly name?: unknown;
  readonly plugins?: readonly Plugin[];
}

function readNetwork(text: string): Network | undefined {
  try {
    const network = JSON.parse(text) as Network | null;
    const plugins = network?.plugins ?? (network?.type === undefined ? [] : [network]);
    return network === null || plugins.length === 0 ? undefined : { ...network, plugins };
  } catch {
    return undefined;
  }
}

function judge({ name, plugins = [] }: Network): SharedLayer2["kind"] {
  if (name === "kubenet" || plugins.some(({ bridge }) => bridge === "cbr0")) return "kubenet";
  return plugins.some(({ type }) => type === "bridge" || type === "flannel") ? "bridge" : "none";
}
