import { execFile } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** A Debian package as it went into an image. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/**
 * Downloads Debian packages and everything that they depend on but `without`, whatever this machine has installed, and unpacks
 * them into `root`.
 * @returns what was unpacked, by name
 */
export async function unpackDebianPackages(
  { packages: wanted, without = [] }: { readonly packages: readonly string[]; readonly without?: readonly string[] },
  root: string,
  work: string,
): Promise<DebianPackage[]> {
  const archives = join(work, "archives");
  await mkdir(archives, { recursive: true });
  await mkdir(root, { recursive: true });
  const download = async (ownLists: boolean): Promise<void> => {
    const options = await aptOptions(work, ownLists);
    if (ownLists) await apt([...options, "update"], archives);
    const simulation = await apt([...options, "-s", "--no-install-recommends", "install", ...wanted], archives);
    const names = [...simulation.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? "");
    const needed = names.filter((name) => !without.includes(name));
    await apt([...options, "download", ...needed], archives);
  };
  // Package lists of this machine may be empty or out of date.
  await download(false).catch(() => download(true));

  const packages: DebianPackage[] = [];
  for (const file of (await readdir(archives)).filter((name) => name.endsWith(".deb")).toSorted()) {
    const archive = join(archives, file);
    await execute("dpkg-deb", ["-x", archive, root]);
    const { stdout } = await execute("dpkg-deb", ["-f", archive, "Package", "Version", "Architecture"]);
    const field = (name: string): string => new RegExp(`^${name}: (.+)$`, "m").exec(stdout)?.[1] ?? "";
    packages.push({ name: field("Package"), version: field("Version"), architecture: field("Architecture") });
  }
  return packages;
}

async function aptOptions(work: string, ownLists: boolean): Promise<string[]> {
  const state = join(work, "apt");
  await Promise.all(
    ["lists/partial", "cache/archives/partial"].map((folder) => mkdir(join(state, folder), { recursive: true })),
  );
  return [
    "-qq",
    "-o",
    `Dir::Cache=${join(state, "cache")}`,
    "-o",
    "APT::Sandbox::User=root",
    // Nothing counts as installed: an image begins with nothing.
    "-o",
    "Dir::State::status=/dev/null",
    ...(ownLists ? ["-o", `Dir::State::lists=${join(state, "lists")}`] : []),
  ];
}

async function apt(args: readonly string[], cwd: string): Promise<string> {
  const { stdout } = await execute("apt-get", [...args], {
    cwd,
    env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
    maxBuffer: 64 << 20,
  });
  return stdout;
}
