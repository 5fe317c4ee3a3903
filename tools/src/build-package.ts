import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { built, entrySources, publishedManifest, rewriteDeclaration } from "./manifest.ts";
import type { Manifest } from "./manifest.ts";
import { publishablePackages } from "./packages.ts";

const run = promisify(execFile);

/**
 * Makes `DIRECTORY/dist` the package as it is published: JavaScript, declarations, package.json, README and LICENSE.
 * The packages it depends on must be built already, since it is compiled against their declarations.
 * @throws with the compiler's messages when it does not compile
 */
export async function buildPackage(root: string, directory: string, manifest: Manifest): Promise<void> {
  const dist = join(directory, "dist");
  const lib = join(dist, "lib");
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist);

  const config = join(dist, "tsconfig.json");
  await writeFile(config, JSON.stringify(await compilerConfig(root, directory, manifest, lib)));
  await compile(root, config);
  await rm(config);

  await Promise.all((await files(lib, ".d.ts")).map(rewriteFile));
  await writeFile(join(dist, "package.json"), `${JSON.stringify(publishedManifest(manifest), undefined, 2)}\n`);
  await copyFile(join(directory, "README.md"), join(dist, "README.md"));
  await copyFile(join(root, "LICENSE"), join(dist, "LICENSE"));
}

async function compilerConfig(root: string, directory: string, manifest: Manifest, outDir: string): Promise<object> {
  const siblings = await publishablePackages(root);
  return {
    extends: join(root, "tsconfig.base.json"),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      rootDir: join(directory, "src"),
      outDir,
      // Siblings by their declarations: their sources would be compiled into this package.
      paths: Object.fromEntries(siblings.flatMap((sibling) => declarationPaths(sibling.directory, sibling.manifest))),
    },
    files: entrySources(manifest).map((source) => join(directory, source)),
  };
}

function declarationPaths(directory: string, { name, exports: entries = {} }: Manifest): [string, string[]][] {
  return Object.entries(entries).map(([subpath, source]) => [
    name + subpath.slice(1),
    [join(directory, "dist", built(source, ".d.ts"))],
  ]);
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
