import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
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

/** Which Debian packages; what they depend on comes along. */
export interface PackageSelection {
  readonly packages: readonly string[];
  /** Of what comes along, that which stays away. */
  readonly without?: readonly string[];
  /** Nothing counts as installed; otherwise what this machine has does not come along. */
  readonly fromNothing?: boolean;
}

/** Options that keep apt off the system's cache and, with `ownLists`, off its package lists; none needs root. */
export function aptOptions(folders: AptFolders, ownLists: boolean, fromNothing = false): string[] {
  return [
    "-c",
    folders.config,
    "-qq",
    "-o",
    `Dir::Cache=${join(folders.root, "cache")}`,
    // Root's apt would otherwise hand the download to a user who may not write here.
    "-o",
    "APT::Sandbox::User=root",
    ...(fromNothing ? ["-o", "Dir::State::status=/dev/null"] : []),
    ...(ownLists ? ["-o", `Dir::State::lists=${folders.lists}`] : []),
  ];
}

/** Package names in the order of `apt-get -s install`'s `Inst NAME (VERSION …)` lines. */
export function parseSimulation(output: string): string[] {
  return [...output.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? "");
}

/**
 * Downloads Debian packages to `work/archives` and unpacks them into `root`, without installing anything.
 *
 * The system's package lists are tried first; where they are empty or out of date, own ones are fetched.
 * @returns the archives' paths, by name
 */
export async function unpackPackages(selection: PackageSelection, root: string, work: string): Promise<string[]> {
  const archives = join(work, "archives");
  mkdirSync(archives, { recursive: true });
  mkdirSync(root, { recursive: true });
  const folders = makeAptFolders(join(work, "apt"));
  try {
    await download(folders, selection, archives, false);
  } catch {
    await run("apt-get", [...aptOptions(folders, true), "update"], { cwd: archives });
    await download(folders, selection, archives, true);
  }
  const files = readdirSync(archives).filter((name) => name.endsWith(".deb"));
  const paths = files.toSorted().map((name) => join(archives, name));
  for (const archive of paths) await run("dpkg-deb", ["-x", archive, root]);
  return paths;
}

async function download(
  folders: AptFolders,
  { packages, without = [], fromNothing }: PackageSelection,
  into: string,
  ownLists: boolean,
): Promise<void> {
  const options = aptOptions(folders, ownLists, fromNothing);
  // A simulation needs no lock, and it knows what this very release calls its libraries.
  const simulation = await run("apt-get", [...options, "-s", "--no-install-recommends", "install", ...packages], {
    cwd: into,
  });
  // A package that counts as installed although its program is gone is fetched all the same.
  const all = new Set([...parseSimulation(simulation), ...packages]);
  await run("apt-get", [...options, "download", ...[...all].filter((name) => !without.includes(name))], { cwd: into });
}
