import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, isAbsolute, join, relative } from "node:path";
import { unpackPackages } from "./apt.ts";

/** The last one holds network plugins of container runtimes. */
const PROGRAM_FOLDERS = ["usr/sbin", "sbin", "usr/bin", "bin", "usr/lib/cni"];
/** Programs that Debian's alternatives would create on installation. */
const XTABLES: Readonly<Record<string, string>> = {
  iptables: "xtables-nft-multi",
  "iptables-nft": "xtables-nft-multi",
  "iptables-legacy": "xtables-legacy-multi",
  ip6tables: "xtables-nft-multi",
};

/**
 * Downloads Debian packages and unpacks them into `folder` without installing anything: `folder/bin` then holds a
 * launcher for each program. Two processes may do so at once; the first one to finish wins.
 */
export async function unpackTools(folder: string, packages: readonly string[]): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(`${folder}.partial-`);
  try {
    await unpackPackages({ packages }, join(work, "root"), work);
    for (const scratch of ["archives", "apt"]) rmSync(join(work, scratch), { recursive: true });
    writeLaunchers(work);
    try {
      renameSync(work, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Writes `work/bin` for what was unpacked into `work/root`. */
export function writeLaunchers(work: string): void {
  const bin = join(work, "bin");
  mkdirSync(bin);
  const libraries = libraryFolders(join(work, "root"));
  const write = (name: string, program: string, ...args: string[]): void => {
    const file = join(bin, name);
    writeFileSync(file, launcher(relative(work, program), args, libraries));
    chmodSync(file, 0o755);
  };
  for (const folder of PROGRAM_FOLDERS) {
    const programs = join(work, "root", folder);
    if (!existsSync(programs)) continue;
    for (const name of readdirSync(programs)) if (isOwnProgram(join(programs, name))) write(name, join(programs, name));
  }
  for (const [family, multi] of Object.entries(XTABLES)) {
    const program = PROGRAM_FOLDERS.map((folder) => join(work, "root", folder, multi)).find((file) => existsSync(file));
    if (program === undefined) continue;
    for (const suffix of ["", "-save", "-restore"]) {
      write(`${family}${suffix}`, program, `${family.replace(/-(nft|legacy)$/, "")}${suffix}`);
    }
  }
}

/** An absolute link would leave the unpacked tree and end at the system's file of that name, or nowhere. */
function isOwnProgram(file: string): boolean {
  return !lstatSync(file).isSymbolicLink() || !isAbsolute(readlinkSync(file));
}

/** Folders with shared libraries, relative to the tree: `usr/lib/x86_64-linux-gnu` on one architecture, others elsewhere. */
function libraryFolders(root: string): string[] {
  const folders: string[] = [];
  for (const base of ["usr/lib", "lib"]) {
    if (!existsSync(join(root, base))) continue;
    for (const name of readdirSync(join(root, base)))
      if (/-linux-gnu[a-z0-9]*$/.test(name)) folders.push(join(base, name));
    folders.push(base);
  }
  return folders;
}

/** A script that runs a program of the tree with the tree's own libraries, wherever the tree is moved to. */
function launcher(program: string, args: readonly string[], libraries: readonly string[]): string {
  const paths = libraries.map((folder) => `$tree/root/${folder}`);
  const modules = libraries.map((folder) => `"$tree/root/${folder}/xtables"`).join(" ");
  return `#!/bin/sh
tree=\${0%/*}/..
for modules in ${modules === "" ? '""' : modules}; do
  if [ -d "$modules" ]; then export XTABLES_LIBDIR="$modules"; break; fi
done
export LD_LIBRARY_PATH="${paths.join(":")}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$tree/${program}" ${args.map((arg) => `${arg} `).join("")}"$@"
`;
}
