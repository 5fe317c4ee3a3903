import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "./manifest.ts";

export interface PublishablePackage {
  readonly directory: string;
  readonly manifest: Manifest;
}

/** The packages that are published to npm, by name. */
export async function publishablePackages(root: string): Promise<PublishablePackage[]> {
  const parent = join(root, "packages");
  const packages = await Promise.all(
    (await readdir(parent)).toSorted().map(async (name) => {
      const directory = join(parent, name);
      return { directory, manifest: await readManifest(directory) };
    }),
  );
  return packages.filter(({ manifest }) => manifest.private !== true);
}

export async function readManifest(directory: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(directory, "package.json"), "utf8")) as Manifest;
}
