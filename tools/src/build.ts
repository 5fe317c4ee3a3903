import { spawnSync } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { APPS } from "./bundle.ts";
import { publishablePackages } from "./packages.ts";

/** `npm run build`: every publishable package and every app's bundle, what is unchanged from the cache. */
const ROOT = join(import.meta.dirname, "../..");

const packages = await publishablePackages(ROOT);
const forgotten = packages.filter(({ manifest }) => manifest.scripts?.["build"] === undefined);
if (forgotten.length > 0) {
  const names = forgotten.map(({ manifest }) => manifest.name).join(", ");
  process.stderr.write(`no build script in ${names}: add "build": "node ../../tools/src/build-project.ts"\n`);
  process.exit(1);
}

const nx = spawnSync(join(ROOT, "node_modules/.bin/nx"), ["run-many", "--target=build", ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: "inherit",
});
if (nx.status !== 0) process.exit(nx.status ?? 1);

const built = [
  ...packages.map(({ directory }) => join(directory, "dist")),
  ...APPS.map((app) => join(ROOT, "apps", app, "dist")),
];
for (const directory of built) {
  process.stdout.write(`${relative(ROOT, directory).padEnd(32)} ${kilobytes(await sizeOf(directory)).padStart(10)}\n`);
}

async function sizeOf(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(0)} kB`;
}
