import { randomUUID } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { build } from "esbuild";
import type { BuildOptions, Metafile, Plugin } from "esbuild";

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
 * Node's own modules are required when the module that imports them is executed. As imports of an ES module all of them would be
 * executed with the bundle, even those that only a lazily loaded part asks for, and every export would be read: that of `node:http`
 * which is called `WebSocket` loads undici, 10 % of a small program's start.
 */
const requiredBuiltins: Plugin = {
  name: "required-builtins",
  setup(bundler) {
    const filter = new RegExp(`^(node:)?(${builtinModules.join("|")})$`);
    bundler.onResolve({ filter }, ({ path, namespace }) =>
      namespace === "builtin" ? { path, external: true } : { path: path.replace(/^node:/, ""), namespace: "builtin" },
    );
    bundler.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = require("node:${path}");`,
    }));
  },
};

/** How everything that is shipped is bundled. */
export const BUNDLE_OPTIONS = {
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  banner: { js: BANNER },
  plugins: [requiredBuiltins],
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: "warning",
  absWorkingDir: ROOT,
} as const satisfies BuildOptions;

/**
 * Escapes what is not ASCII, which the bundler leaves as it is in regular expressions and templates: a single character beyond
 * Latin-1 would make V8 keep the whole text with two bytes per character.
 */
export function asciiOnly(source: string): string {
  return source.replaceAll(/[^\u0000-\u007f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Bundles an app from its sources into one ESM file, `apps/NAME/dist/NAME.mjs`, unless that file is newer than every source in it.
 * @returns the file's path
 */
export async function bundleApp(app: App): Promise<string> {
  const outfile = join(ROOT, "apps", app, "dist", `${app}.mjs`);
  if (await isFresh(outfile)) return outfile;
  const metafile = await bundle(app, outfile);
  await writeFile(
    inputsFile(outfile),
    JSON.stringify(Object.keys(metafile.inputs).filter((input) => !input.startsWith("builtin:"))),
  );
  return outfile;
}

/** Bundles an app into `outfile`, whatever is there. Others may run it, or make it as well, meanwhile: it appears as a whole. */
export async function bundle(app: App, outfile: string, stamp?: BundleStamp): Promise<Metafile> {
  const partial = `${outfile}.${randomUUID()}.partial`;
  const { metafile } = await build({
    ...BUNDLE_OPTIONS,
    entryPoints: [join(ROOT, "apps", app, "src/main.ts")],
    outfile: partial,
    legalComments: "external",
    metafile: true,
    ...(stamp !== undefined && {
      define: { __PODID_COMMIT__: JSON.stringify(stamp.commit), __PODID_DATE__: JSON.stringify(stamp.date) },
    }),
  });
  await writeFile(partial, asciiOnly(await readFile(partial, "utf8")));
  await rename(legalFile(partial), legalFile(outfile));
  await rename(partial, outfile);
  return metafile;
}

function legalFile(outfile: string): string {
  return `${outfile}.LEGAL.txt`;
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
