/** The parts of a workspace package's package.json that building and packing look at. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly nx?: { readonly tags?: readonly string[] };
  readonly [field: string]: unknown;
}

/** Where the built files stand beside the published package.json. */
const BUILT = "lib";

/** What only the workspace needs. */
const OWN_FIELDS = new Set(["private", "scripts", "devDependencies", "nx"]);

/** The package.json of the published package: entry points are the built files, workspace-only fields are gone. */
export function publishedManifest(manifest: Manifest): Record<string, unknown> {
  const published = Object.fromEntries(Object.entries(manifest).filter(([field]) => !OWN_FIELDS.has(field)));
  const { exports: entries = {}, bin } = manifest;
  published["exports"] = {
    ...Object.fromEntries(
      Object.entries(entries).map(([subpath, source]) => [
        subpath,
        { types: built(source, ".d.ts"), default: built(source, ".js") },
      ]),
    ),
    "./package.json": "./package.json",
  };
  if (bin !== undefined) {
    published["bin"] = Object.fromEntries(Object.entries(bin).map(([name, source]) => [name, built(source, ".js")]));
  }
  published["files"] = [BUILT];
  return published;
}

/** The sources that everything published is reachable from: `./src/…` of each export and each command. */
export function entrySources(manifest: Manifest): string[] {
  return [...new Set([...Object.values(manifest.exports ?? {}), ...Object.values(manifest.bin ?? {})])];
}

/** `./src/testing.ts` → `./lib/testing.d.ts`. */
export function built(source: string, extension: ".js" | ".d.ts"): string {
  const match = /^\.\/src\/(.+)\.ts$/.exec(source);
  if (match === null) throw new Error(`package.json: ${JSON.stringify(source)} is no entry point; give ./src/NAME.ts`);
  return `./${BUILT}/${match[1]}${extension}`;
}

/** Emitted declarations keep `./name.ts`; what is published says `./name.js`, which every TypeScript resolves. */
export function rewriteDeclaration(text: string): string {
  return text.replaceAll(/((?:\bfrom|\bimport\()\s*["']\.{1,2}\/[^"']+)\.ts(["'])/g, "$1.js$2");
}
