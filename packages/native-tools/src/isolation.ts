import { MOUNT_SCRIPT, NamespacesForbiddenError, probeNamespaces } from "./namespaces.ts";
import { findNativeTools, MissingToolsError } from "./native-tools.ts";

/** Where tests may build a node of their own: network, mount and pid namespaces that end with their first process. */
export class Isolation {
  /** Environment whose PATH finds every program of {@link findNativeTools}. */
  readonly env: NodeJS.ProcessEnv;
  readonly #options: readonly string[];

  constructor(path: string, userNamespace: boolean) {
    this.env = { ...process.env, PATH: path };
    this.#options = userNamespace ? ["--user", "--map-root-user"] : [];
  }

  /** The arguments of `unshare` that run this command inside, with a /run of its own. */
  args(command: string, ...rest: readonly string[]): string[] {
    const namespaces = [...this.#options, "--net", "--mount", "--pid", "--fork", "--kill-child"];
    return [...namespaces, "sh", "-c", `${MOUNT_SCRIPT}; exec "$0" "$@"`, command, ...rest];
  }
}

/** @returns why this machine cannot, instead, for a test to skip with */
export async function findIsolation(): Promise<Isolation | string> {
  try {
    const { path } = await findNativeTools();
    return new Isolation(path, probeNamespaces(path).userNamespace);
  } catch (error) {
    if (error instanceof NamespacesForbiddenError || error instanceof MissingToolsError) return error.message;
    throw error;
  }
}
