import { join } from "node:path";
import { build } from "esbuild";

/**
 * Bundles one of the bare servers, as anybody would: without what the apps' bundles do to save memory, such as loading Node's own
 * modules when they are first needed.
 * @returns the file, in `directory`
 */
export async function bundleBare(entry: string, directory: string): Promise<string> {
  const outfile = join(directory, `${entry}.mjs`);
  await build({
    entryPoints: [join(import.meta.dirname, `${entry}.ts`)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    minifySyntax: true,
    minifyWhitespace: true,
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  return outfile;
}
