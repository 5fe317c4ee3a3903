import { join } from "node:path";
import { BUNDLE_OPTIONS } from "@podid/tools/bundle";
import { build } from "esbuild";

/** Bundles one of the bare servers as the apps are bundled. @returns the file, in `directory` */
export async function bundleBare(entry: string, directory: string): Promise<string> {
  const outfile = join(directory, `${entry}.mjs`);
  await build({ ...BUNDLE_OPTIONS, entryPoints: [join(import.meta.dirname, `${entry}.ts`)], outfile });
  return outfile;
}
