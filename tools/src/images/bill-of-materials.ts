import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DebianPackage } from "./debian-packages.ts";

/** The part of a CycloneDX document that is added to here (https://cyclonedx.org/docs/1.6/json/). */
interface BillOfMaterials {
  readonly metadata?: { readonly component?: object };
  readonly components?: readonly object[];
}

/**
 * What an image is made of, as a CycloneDX 1.6 document: npm's packages that the bundler really put into the bundle, Debian's
 * packages, and Node. The same contents give the same text.
 *
 * @param metafile esbuild's account of the bundle, a path
 */
export async function billOfMaterials(o: {
  readonly metafile: string;
  readonly root: string;
  readonly name: string;
  readonly version: string;
  readonly debian: readonly DebianPackage[];
  readonly nodeVersion: string;
}): Promise<string> {
  const { stdout } = await promisify(execFile)(
    join(o.root, "node_modules/.bin/cyclonedx-esbuild"),
    ["--output-reproducible", "--no-validate", "--bwd", o.root, o.metafile],
    { cwd: o.root, maxBuffer: 64 << 20 },
  );
  const npm = JSON.parse(stdout) as BillOfMaterials;
  const others = [
    {
      type: "application",
      name: "node",
      version: o.nodeVersion,
      "bom-ref": `node@${o.nodeVersion}`,
      purl: `pkg:generic/node@${o.nodeVersion}`,
      licenses: [{ license: { id: "MIT" } }],
    },
    ...o.debian.map(({ name, version, architecture }) => {
      const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}`;
      return { type: "library", name, version, "bom-ref": purl, purl };
    }),
  ];
  const document = {
    ...npm,
    metadata: {
      ...npm.metadata,
      component: { type: "container", name: o.name, version: o.version, "bom-ref": o.name },
    },
    components: [...(npm.components ?? []), ...others],
    // The tool's graph begins at a component that this document no longer has.
    dependencies: undefined,
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}

/** Version of the Node that npm's package of the binary holds. */
export async function nodeVersion(): Promise<string> {
  const require = createRequire(import.meta.url);
  const manifest = await readFile(require.resolve(`node-linux-${process.arch}/package.json`), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
