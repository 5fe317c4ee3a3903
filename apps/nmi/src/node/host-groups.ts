import { HOST_CHAIN } from "@podid/iptables";
import type { NodeRules } from "@podid/iptables";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

export interface HostGroupsOptions {
  readonly rules: Pick<NodeRules, "change">;
  /** Control groups whose processes reach the metadata service from the node's own network. */
  readonly allow: readonly string[];
  /** Where control groups are mounted, and where this process' own one is said. */
  readonly root?: string;
  readonly own?: string;
}

const ROOT = "/sys/fs/cgroup";
const OWN = "/proc/self/cgroup";

/**
 * Which control groups the rules for the node's own processes let through: those that are allowed and exist, and this
 * process' own. A rule means the group that had its path when it went in, so a service that was started anew needs its
 * rule anew.
 */
export class HostGroups {
  readonly #options: HostGroupsOptions;
  #inodes = new Map<string, number>();
  #problem: string | undefined;

  constructor(options: HostGroupsOptions) {
    this.#options = options;
  }

  /** Why the node's own processes are not intercepted; undefined when they are. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Brings the rules' options up to date. @returns chains to be filled anew */
  async refresh(): Promise<ReadonlySet<string>> {
    const { rules, allow } = this.#options;
    try {
      const root = await this.#hierarchy();
      const inodes = new Map<string, number>();
      for (const path of new Set([...allow, await this.#own()])) {
        const inode = await inodeOf(join(root, path));
        if (inode !== undefined) inodes.set(path, inode);
      }
      rules.change({ hostNetwork: { allow: [...inodes.keys()] } });
      const replaced = [...inodes].some(([path, inode]) => (this.#inodes.get(path) ?? inode) !== inode);
      this.#inodes = inodes;
      this.#problem = undefined;
      return replaced ? new Set([HOST_CHAIN]) : new Set();
    } catch (error) {
      // The rules for pods do not depend on this and have to go in.
      this.#problem = `--intercept-host-network: ${error instanceof Error ? error.message : String(error)}`;
      return new Set();
    }
  }

  /** The one of version 2, which some nodes have beside version 1. */
  async #hierarchy(): Promise<string> {
    const { root = ROOT } = this.#options;
    for (const candidate of [root, join(root, "unified")])
      if ((await inodeOf(join(candidate, "cgroup.controllers"))) !== undefined) return candidate;
    throw new Error(
      `${root} has no control groups v2, and rules for processes need them; do without, or boot with them`,
    );
  }

  async #own(): Promise<string> {
    const text = await readFile(this.#options.own ?? OWN, "utf8");
    const path = /^0::\/(.*)$/m.exec(text)?.[1] ?? "";
    // In a namespace of its own the process would allow by names that mean something else, or everybody.
    if (path === "" || path.startsWith(".."))
      throw new Error(
        "NMI does not see the node's control groups; run its container in the node's control group namespace (privileged does)",
      );
    return path;
  }
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
