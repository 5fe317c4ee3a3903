import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { entrySources, publishedManifest, rewriteDeclaration } from "./manifest.ts";
import type { Manifest } from "./manifest.ts";

const run = promisify(execFile);

/**
 * Makes `DIRECTORY/dist` the package as it is published: JavaScript, declarations, package.json, README and LICENSE.
 * Independent of all other builds, since it is compiled against the sources of the packages it depends on.
 * @throws with the compiler's messages when it does not compile
 */
export async function buildPackage(root: string, directory: string, manifest: Manifest): Promise<void> {
  const dist = join(directory, "dist");
  const lib = join(dist, "lib");
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist);

  // Sources of other packages are emitted too, because the compiler sees them as part of this program; they are left behind.
  const packages = join(root, "packages");
  const emitted = join(dist, "emitted");
  const config = join(dist, "tsconfig.json");
  await writeFile(
    config,
    JSON.stringify({
      extends: join(root, "tsconfig.base.json"),
      compilerOptions: { noEmit: false, declaration: true, rootDir: packages, outDir: emitted },
      files: entrySources(manifest).map((source) => join(directory, source)),
    }),
  );
  await compile(root, config);
  await rm(config);
  await rename(join(emitted, relative(packages, directory), "src"), lib);
  await rm(emitted, { recursive: true });

  await Promise.all((await files(lib, ".d.ts")).map(rewriteFile));
  await writeFile(join(dist, "package.json"), `${JSON.stringify(publishedManifest(manifest), undefined, 2)}\n`);
  await copyFile(join(directory, "README.md"), join(dist, "README.md"));
  await copyFile(join(root, "LICENSE"), join(dist, "LICENSE"));
}

async function compile(root: string, config: string): Promise<void> {
  try {
    await run(join(root, "node_modules/.bin/tsc"), ["-p", config, "--pretty", "false"], { cwd: root });
  } catch (error) {
    const output = error instanceof Error && "stdout" in error ? String(error.stdout) : "";
    throw new Error(output === "" ? `tsc did not run: ${String(error)}` : output, { cause: error });
  }
}

async function rewriteFile(file: string): Promise<void> {
  await writeFile(file, rewriteDeclaration(await readFile(file, "utf8")));
}

async function files(directory: string, suffix: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => join(entry.parentPath, entry.name));
}
