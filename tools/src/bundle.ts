import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import type { Metafile } from "esbuild";

const ROOT = join(import.meta.dirname, "../..");

/** The deployables; each is shipped as one file. */
export const APPS = ["mic", "nmi", "demo"] as const;
export type App = (typeof APPS)[number];

// Some CommonJS dependencies call require() for Node's own modules.
const BANNER = `import { createRequire as podidCreateRequire } from "node:module"; const require = podidCreateRequire(import.meta.url);`;

/** What `--version` says of a bundle that is shipped. */
export interface BundleStamp {
  readonly commit: string;
  /** ISO 8601. */
  readonly date: string;
}

/**
 * Bundles an app from its sources into one ESM file, `apps/NAME/dist/NAME.mjs`, unless that file is newer than every source in it.
 * @returns the file's path
 */
export async function bundleApp(app: App): Promise<string> {
  const outfile = join(ROOT, "apps", app, "dist", `${app}.mjs`);
  if (await isFresh(outfile)) return outfile;
  const metafile = await bundle(app, outfile);
  await writeFile(inputsFile(outfile), JSON.stringify(Object.keys(metafile.inputs)));
  return outfile;
}

/** Bundles an app into `outfile`, whatever is there. */
export async function bundle(app: App, outfile: string, stamp?: BundleStamp): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints: [join(ROOT, "apps", app, "src/main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    banner: { js: BANNER },
    minifySyntax: true,
    minifyWhitespace: true,
    keepNames: true,
    legalComments: "external",
    metafile: true,
    logLevel: "warning",
    absWorkingDir: ROOT,
    ...(stamp !== undefined && {
      define: { __PODID_COMMIT__: JSON.stringify(stamp.commit), __PODID_DATE__: JSON.stringify(stamp.date) },
    }),
  });
  return metafile;
}

/** Written after the bundle, so that an interrupted build counts as stale. */
function inputsFile(outfile: string): string {
  return `${outfile}.inputs.json`;
}

async function isFresh(outfile: string): Promise<boolean> {
  try {
    const built = (await stat(outfile)).mtimeMs;
    const inputs = JSON.parse(await readFile(inputsFile(outfile), "utf8")) as readonly string[];
    const changed = await Promise.all(inputs.map(async (input) => (await stat(join(ROOT, input))).mtimeMs > built));
    return !changed.includes(true);
  } catch {
    return false;
  }
}
