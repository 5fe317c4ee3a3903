import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { bundle } from "../bundle.ts";
import type { App, BundleStamp } from "../bundle.ts";
import { billOfMaterials, nodeVersion } from "./bill-of-materials.ts";
import { CONTENTS } from "./contents.ts";
import { makeRootFileSystem } from "./root-file-system.ts";

const execute = promisify(execFile);

export interface ImageSource {
  /** Top of the workspace. */
  readonly root: string;
  readonly version: string;
  readonly stamp: BundleStamp;
}

/**
 * Fills `folder` with what the app's Dockerfile needs: `docker build FOLDER`, `podman build FOLDER` or `buildah bud FOLDER`
 * makes the image from it without any network. Equal sources and equal Debian packages give equal bytes.
 */
export async function makeBuildContext(app: App, folder: string, source: ImageSource): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), "podid-image-"));
  try {
    const root = join(work, "root");
    const debian = await makeRootFileSystem(root, CONTENTS[app], work);
    await symlink(`../../app/${app}.mjs`, join(root, "usr/bin", app));
    await pack(root, join(folder, "rootfs.tar"), source.stamp.date);

    const program = join(folder, `${app}.mjs`);
    const metafile = await bundle(app, program, source.stamp);
    await makeExecutable(program, CONTENTS[app].nodeOption);
    // esbuild writes no file when no bundled package has a comment to keep.
    const legal = join(folder, `${app}.mjs.LEGAL.txt`);
    if ((await stat(legal).catch(() => undefined)) === undefined) await writeFile(legal, "");
    const metafilePath = join(work, "metafile.json");
    await writeFile(metafilePath, JSON.stringify(metafile));
    const bill = await billOfMaterials({
      metafile: metafilePath,
      root: source.root,
      name: `podid-${app}`,
      version: source.version,
      debian,
      nodeVersion: await nodeVersion(),
    });
    await writeFile(join(folder, "sbom.cdx.json"), bill);
    await copyFile(join(source.root, "apps", app, "Dockerfile"), join(folder, "Dockerfile"));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Probes of kubelet call the program by its name, and there is no shell that could start Node for it. */
async function makeExecutable(file: string, nodeOption: string): Promise<void> {
  await writeFile(file, `#!/usr/bin/node ${nodeOption}`.trimEnd() + `\n${await readFile(file, "utf8")}`);
  await chmod(file, 0o755);
}

/** A tar file that depends on names, modes and contents only. */
async function pack(root: string, file: string, date: string): Promise<void> {
  const normal = ["--sort=name", `--mtime=${date}`, "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];
  await execute("tar", [...normal, "-cf", file, "-C", root, "."]);
}
