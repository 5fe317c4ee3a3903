import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";

/** Where apt keeps its own state, apart from the system's. */
export interface AptFolders {
  readonly root: string;
  readonly lists: string;
  readonly config: string;
}

export function makeAptFolders(root: string): AptFolders {
  const folders = { root, lists: join(root, "lists"), config: join(root, "apt.conf") };
  mkdirSync(join(folders.lists, "partial"), { recursive: true });
  mkdirSync(join(root, "cache", "archives", "partial"), { recursive: true });
  // Container images hook a clean-up of the system's cache to `update`, which is none of our business.
  writeFileSync(folders.config, "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n");
  return folders;
}

/** Options that keep apt off the system's cache and, with `ownLists`, off its package lists; none needs root. */
export function aptOptions(folders: AptFolders, ownLists: boolean): string[] {
  return [
    "-c",
    folders.config,
    "-qq",
    "-o",
    `Dir::Cache=${join(folders.root, "cache")}`,
    // Root's apt would otherwise hand the download to a user who may not write here.
    "-o",
    "APT::Sandbox::User=root",
    ...(ownLists ? ["-o", `Dir::State::lists=${folders.lists}`] : []),
  ];
}

/** Package names in the order of `apt-get -s install`'s `Inst NAME (VERSION …)` lines. */
export function parseSimulation(output: string): string[] {
  return [...output.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? "");
}

/**
 * Downloads `wanted` and whatever of their dependencies is not installed into `into`.
 *
 * The system's package lists are tried first; where they are empty or out of date, own ones are fetched.
 */
export async function downloadPackages(folders: AptFolders, wanted: readonly string[], into: string): Promise<void> {
  try {
    await download(folders, wanted, into, false);
  } catch {
    await run("apt-get", [...aptOptions(folders, true), "update"], { cwd: into });
    await download(folders, wanted, into, true);
  }
}

async function download(
  folders: AptFolders,
  wanted: readonly string[],
  into: string,
  ownLists: boolean,
): Promise<void> {
  const options = aptOptions(folders, ownLists);
  // A simulation needs no lock, and it knows what this very release calls its libraries.
  const simulation = await run("apt-get", [...options, "-s", "--no-install-recommends", "install", ...wanted], {
    cwd: into,
  });
  const names = parseSimulation(simulation);
  // A package that counts as installed although its program is gone is fetched all the same.
  const all = [...new Set([...names, ...wanted])];
  await run("apt-get", [...options, "download", ...all], { cwd: into });
}
