import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PublishablePackage } from "../src/packages.ts";
import { succeed } from "./command.ts";

/** What a project that uses the packages may have installed. */
export interface Toolchain {
  readonly node: string;
  readonly typescript: string;
}

export interface Consumer {
  readonly directory: string;
  /** Path of this consumer's Node. */
  readonly node: string;
}

/** @param wanted what to install, as npm takes it: the packed packages, and what they leave to their user */
export async function installConsumer(
  directory: string,
  wanted: readonly string[],
  toolchain: Toolchain,
): Promise<Consumer> {
  const nodePackage = `node-${process.platform}-${process.arch}`;
  await mkdir(directory, { recursive: true });
  await writeJson(join(directory, "package.json"), { name: "consumer", private: true, type: "module" });
  await writeJson(join(directory, "tsconfig.json"), {
    compilerOptions: {
      module: "nodenext",
      target: "es2024",
      types: ["node"],
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
    },
    include: ["*.ts"],
  });
  const registry = [
    `${nodePackage}@${toolchain.node}`,
    `@types/node@${toolchain.node}`,
    `typescript@${toolchain.typescript}`,
  ];
  const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", "--engine-strict=false"];
  await succeed("npm", ["install", ...flags, ...registry, ...wanted], directory);
  return { directory, node: join(directory, "node_modules", nodePackage, "bin/node") };
}

/** A file that uses every entry point, so that each is found, runs and has declarations that hold together. */
export function importEverything(packages: readonly PublishablePackage[]): string {
  const specifiers = packages.flatMap(entryPoints);
  return [
    ...specifiers.map((specifier, index) => `import * as entry${index} from ${JSON.stringify(specifier)};`),
    "const entries: readonly (readonly [string, object])[] = [",
    ...specifiers.map((specifier, index) => `  [${JSON.stringify(specifier)}, entry${index}],`),
    "];",
    "for (const [name, entry] of entries) console.log(name, Object.keys(entry).length);",
    "",
  ].join("\n");
}

/** `@podid/kube`, `@podid/kube/testing`, … */
export function entryPoints({ manifest }: PublishablePackage): string[] {
  return Object.keys(manifest.exports ?? {}).map((subpath) => manifest.name + subpath.slice(1));
}

/** The first TypeScript block of a package's README, a program that stands alone; every README has one. */
export async function readmeExample(directory: string): Promise<string> {
  const readme = await readFile(join(directory, "README.md"), "utf8");
  const example = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1];
  if (example === undefined)
    throw new Error(`${directory}/README.md has no \`\`\`ts block; show how the package is used`);
  return example;
}

/** Where a package's example is written. */
export function exampleFile({ manifest }: PublishablePackage): string {
  return `readme-${manifest.name.replace("@podid/", "")}.ts`;
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFile(file, `${JSON.stringify(value, undefined, 2)}\n`);
}
