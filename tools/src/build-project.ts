import { join, relative } from "node:path";
import { buildPackage } from "./build-package.ts";
import { APPS, bundleApp } from "./bundle.ts";
import { readManifest } from "./packages.ts";

/** The `build` script of every project that has one; runs in its folder. */
const ROOT = join(import.meta.dirname, "../..");

const directory = process.cwd();
const manifest = await readManifest(directory);
const app = APPS.find((name) => name === manifest.name);
try {
  if (app === undefined) await buildPackage(ROOT, directory, manifest);
  const result = app === undefined ? join(directory, "dist") : await bundleApp(app);
  process.stdout.write(`${manifest.name} → ${relative(ROOT, result)}\n`);
} catch (error) {
  process.stderr.write(`${manifest.name}: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
