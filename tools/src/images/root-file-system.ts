import { chmod, copyFile, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import type { ImageContents } from "./contents.ts";
import { unpackDebianPackages } from "./debian-packages.ts";
import type { DebianPackage } from "./debian-packages.ts";

const PROGRAM_FOLDERS = ["bin", "sbin", "usr/bin", "usr/sbin"];
/** What a running program does not read. Licences (usr/share/doc/PACKAGE/copyright) stay. */
const NOT_NEEDED = [
  "usr/share/man",
  "usr/share/locale",
  "usr/share/lintian",
  "usr/share/bug",
  "usr/share/gdb",
  "usr/lib/x86_64-linux-gnu/gconv",
  "usr/lib/aarch64-linux-gnu/gconv",
  "usr/share/gcc",
  "usr/share/iptables",
  "etc/init.d",
];

const FILES: Readonly<Record<string, string>> = {
  "etc/passwd": "root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/:/nonexistent\n",
  "etc/group": "root:x:0:\nnonroot:x:65532:\n",
  "etc/nsswitch.conf": "hosts: files dns\n",
};

/**
 * Makes an image's root file system in `root`: Node, the libraries that it needs, the programs that `contents` names, and nothing
 * else that could be run: no shell, no package manager.
 */
export async function makeRootFileSystem(
  root: string,
  contents: ImageContents,
  work: string,
): Promise<DebianPackage[]> {
  const packages = await unpackDebianPackages(contents, root, work);
  for (const path of NOT_NEEDED) await rm(join(root, path), { recursive: true, force: true });
  await keepOnlyCopyrights(join(root, "usr/share/doc"));
  const { programs } = contents;
  for (const folder of PROGRAM_FOLDERS) {
    for (const name of await readdirIfAny(join(root, folder)))
      if (!Object.hasOwn(programs, `${folder}/${name}`)) await rm(join(root, folder, name), { recursive: true });
  }
  for (const [path, { linkTo }] of Object.entries(programs)) {
    if (linkTo === undefined) continue;
    await rm(join(root, path), { force: true });
    await symlink(linkTo, join(root, path));
  }
  await mkdir(join(root, "usr/bin"), { recursive: true });
  await copyFile(nodeBinary(), join(root, "usr/bin/node"));
  await chmod(join(root, "usr/bin/node"), 0o755);
  await mkdir(join(root, "tmp"));
  await chmod(join(root, "tmp"), 0o1777);
  for (const folder of ["proc", "sys", "dev", "run", "app", "etc"])
    await mkdir(join(root, folder), { recursive: true });
  for (const [path, text] of Object.entries(FILES)) await writeFile(join(root, path), text);
  return packages;
}

/** Files of `root` that can be executed as programs, by path; for tests and for people who ask what is in there. */
export async function programsIn(root: string): Promise<string[]> {
  const found = await Promise.all(
    PROGRAM_FOLDERS.map(async (folder) => (await readdirIfAny(join(root, folder))).map((name) => `/${folder}/${name}`)),
  );
  return found.flat().toSorted();
}

/** Node as this workspace pins it, from npm's package of the binary. @throws when there is none for this architecture */
function nodeBinary(): string {
  const name = `node-linux-${process.arch}`;
  const require = createRequire(import.meta.url);
  try {
    return join(dirname(require.resolve(`${name}/package.json`)), "bin/node");
  } catch (error) {
    throw new Error(`npm's package ${name} is not installed; images are built on Linux, x64 or arm64, after npm ci`, {
      cause: error,
    });
  }
}

async function keepOnlyCopyrights(folder: string): Promise<void> {
  for (const entry of await readdirIfAny(folder, true)) {
    const path = join(folder, entry);
    if (relative(folder, path).split("/").length === 2 && !entry.endsWith("/copyright"))
      await rm(path, { recursive: true, force: true });
  }
}

async function readdirIfAny(folder: string, recursive = false): Promise<string[]> {
  try {
    return await readdir(folder, { recursive });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
