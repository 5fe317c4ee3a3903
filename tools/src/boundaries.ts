import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";

/** Which kinds of workspace package each kind may import; arrows point inward. Tests may import anything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  pure: ["pure"],
  io: ["pure", "io"],
  tool: ["pure", "io", "tool"],
  app: ["pure", "io"],
};

/** The command line starts the emulators and bundles the apps: `podid sandbox` is what they are for. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  podid: ["@podid/azure-emulator", "@podid/kube-control-plane", "@podid/kube-emulator", "@podid/tools"],
};

interface Package {
  readonly name: string;
  readonly directory: string;
  readonly kind: string;
  readonly dependencies: ReadonlySet<string>;
  readonly devDependencies: ReadonlySet<string>;
}

interface Manifest {
  readonly name: string;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly nx?: { readonly tags?: readonly string[] };
}

/** @returns one line for each import that crosses a boundary or is not declared in the importing package's package.json */
export async function boundaryViolations(root: string): Promise<string[]> {
  const packages = await readPackages(root);
  const byName = new Map(packages.map((each) => [each.name, each]));
  const violations: string[] = [];
  for (const importer of packages) {
    for (const file of await sourceFiles(importer.directory)) {
      const isTest = /\.(test|suite)\.ts$|\/test\//.test(file);
      for (const specifier of importsOf(await readFile(file, "utf8"))) {
        const name = /^(@[^/]+\/[^/]+|[^/]+)/.exec(specifier)?.[0] ?? specifier;
        const where = `${relative(root, file)} imports ${specifier}`;
        const declared = importer.dependencies.has(name) || (isTest && importer.devDependencies.has(name));
        const imported = byName.get(name);
        if (imported === undefined || name === importer.name) continue;
        if (!declared && !isToolsOnly(importer, name))
          violations.push(`${where}, which ${importer.name}'s package.json does not declare`);
        const allowed = MAY_IMPORT[importer.kind]?.includes(imported.kind) || EXCEPTIONS[importer.name]?.includes(name);
        if (!isTest && !allowed)
          violations.push(`${where}: type:${importer.kind} may not import type:${imported.kind}`);
      }
    }
  }
  return violations;
}

function isToolsOnly(importer: Package, name: string): boolean {
  return importer.kind === "tool" && importer.devDependencies.has(name);
}

async function readPackages(root: string): Promise<Package[]> {
  const { workspaces } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { workspaces: string[] };
  const directories = await Promise.all(
    workspaces.map(async (pattern) => {
      if (!pattern.endsWith("/*")) return [join(root, pattern)];
      const parent = join(root, pattern.slice(0, -2));
      const entries = await readdir(parent, { withFileTypes: true });
      return entries.filter((entry) => entry.isDirectory()).map((entry) => join(parent, entry.name));
    }),
  );
  return Promise.all(
    directories.flat().map(async (directory) => {
      const manifest = JSON.parse(await readFile(join(directory, "package.json"), "utf8")) as Manifest;
      const kind = manifest.nx?.tags?.find((tag) => tag.startsWith("type:"))?.slice("type:".length);
      if (kind === undefined || MAY_IMPORT[kind] === undefined)
        throw new Error(`${manifest.name}: package.json has no nx tag type:${Object.keys(MAY_IMPORT).join("|")}`);
      return {
        name: manifest.name,
        directory,
        kind,
        dependencies: new Set(Object.keys(manifest.dependencies ?? {})),
        devDependencies: new Set(Object.keys(manifest.devDependencies ?? {})),
      };
    }),
  );
}

async function sourceFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.m?ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/\/(node_modules|dist)\//.test(file));
}

function importsOf(source: string): string[] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^;'"]*?\bfrom\s*["']([^"'.][^"']*)["']|\bimport\(\s*["']([^"'.][^"']*)["']\s*\)|(?:^|\n)\s*import\s*["']([^"'.][^"']*)["']/g;
  return [...source.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}
