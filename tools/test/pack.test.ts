import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildPackage } from "../src/build-package.ts";
import { publishablePackages } from "../src/packages.ts";
import type { PublishablePackage } from "../src/packages.ts";
import { command, succeed } from "./command.ts";
import { entryPoints, exampleFile, importEverything, installConsumer, readmeExample } from "./consumer.ts";
import type { Consumer } from "./consumer.ts";

const ROOT = join(import.meta.dirname, "../..");
const packages = await publishablePackages(ROOT);
const examples = new Map(
  await Promise.all(packages.map(async (each) => [each, await readmeExample(each.directory)] as const)),
);
/** What the packages leave to their user, optional or only in an example. */
const leftToUsers = packages.flatMap(({ manifest }) => Object.entries(manifest.peerDependencies ?? {}));
for (const [{ manifest }, example] of examples) {
  const own = Object.entries(manifest.devDependencies ?? {});
  leftToUsers.push(...own.filter(([name]) => !name.startsWith("@podid/") && example.includes(`"${name}"`)));
}

let work = "";
let tarballs: string[] = [];

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "podid-pack-"));
  tarballs = await Promise.all(
    packages.map(async ({ directory, manifest }) => {
      await buildPackage(ROOT, directory, manifest);
      const output = await succeed(
        "npm",
        ["pack", "--json", "--loglevel=error", "--pack-destination", work],
        join(directory, "dist"),
      );
      return join(work, /"filename":\s*"([^"]+)"/.exec(output)?.[1] ?? "missing.tgz");
    }),
  );
});

afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

describe.for(packages.map((each) => [each.manifest.name, each] as const))("%s", ([, each]) => {
  test("depends on published packages only, of the versions that stand here", () => {
    const published = new Map(packages.map(({ manifest }) => [manifest.name, manifest.version]));
    const siblings = Object.entries(each.manifest.dependencies ?? {}).filter(([name]) => name.startsWith("@podid/"));
    expect(siblings.map(([name, version]) => [name, version, published.get(name)])).toEqual(
      siblings.map(([name, version]) => [name, version, version]),
    );
  });

  test("holds what a user needs and nothing else", async () => {
    const files = await listFiles(join(each.directory, "dist"));
    expect(files).toEqual(expect.arrayContaining(["package.json", "README.md", "LICENSE"]));
    expect(
      files.filter((file) => !/^(?:package\.json|README\.md|LICENSE|lib\/.+(?:\.js|\.d\.ts))$/.test(file)),
    ).toEqual([]);
    expect(files.filter((file) => /\.(?:test|suite)\./.test(file))).toEqual([]);
  });

  test("imports only what its package.json declares", async () => {
    expect(await undeclaredImports(each)).toEqual([]);
  });
});

describe.for([
  { node: "22", typescript: "5.9" },
  { node: "24", typescript: "7.0" },
])("in an empty project on Node $node with TypeScript $typescript", (toolchain) => {
  let consumer: Consumer;

  beforeAll(async () => {
    const others = leftToUsers.map(([name, range]) => `${name}@${range}`);
    consumer = await installConsumer(join(work, `node-${toolchain.node}`), [...tarballs, ...others], toolchain);
    await writeFile(join(consumer.directory, "everything.ts"), importEverything(packages));
    for (const [each, example] of examples) await writeFile(join(consumer.directory, exampleFile(each)), example);
  });

  test("the Node is the one that was asked for", async () => {
    expect(await succeed(consumer.node, ["--version"], consumer.directory)).toMatch(`v${toolchain.node}.`);
  });

  test("every entry point imports", async () => {
    const output = await succeed(
      consumer.node,
      ["--experimental-strip-types", "--no-warnings", "everything.ts"],
      consumer.directory,
    );
    const counts = new Map(
      output
        .trim()
        .split("\n")
        .map((line) => line.split(" ") as [string, string]),
    );
    expect([...counts.keys()]).toEqual(packages.flatMap(entryPoints));
    expect([...counts].filter(([, count]) => Number(count) === 0)).toEqual([]);
  });

  test("every entry point and every README's example type-checks in strict mode", async () => {
    const tsc = "node_modules/typescript/bin/tsc";
    const { output } = await command(consumer.node, [tsc, "-p", ".", "--pretty", "false"], consumer.directory);
    // Declarations of other people's packages are theirs to answer for.
    const ours = output.split("\n").filter((line) => line !== "" && !/^(?:node_modules\/(?!@podid\/)|\s)/.test(line));
    expect(ours).toEqual([]);
  });

  // The others need a cluster, a node or a cloud; beside their sources they are run with one.
  const selfContained = packages.filter(({ manifest }) =>
    manifest.nx?.tags?.some((tag) => tag === "type:pure" || tag === "type:tool"),
  );
  test.for(selfContained.map((each) => [each.manifest.name, each] as const))(
    "the example of %s's README runs",
    async ([, each]) => {
      await succeed(
        consumer.node,
        ["--experimental-strip-types", "--no-warnings", exampleFile(each)],
        consumer.directory,
      );
    },
  );

  const commands = packages.flatMap(({ manifest }) => Object.keys(manifest.bin ?? {}));
  test.for(commands)("%s --help", async (name) => {
    const output = await succeed(consumer.node, [join("node_modules/.bin", name), "--help"], consumer.directory);
    expect(output).toContain("Usage");
  });
});

async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

/** A package's name in an import or export statement, or in a type's `import("…")`. */
const IMPORT = /(?:^(?:import|export)\b(?:[^;"']*?\bfrom)?\s*|\bimport\()["']([^"'.][^"']*)["']/gm;

/** Everything is hoisted into one node_modules here, where an undeclared import would go unnoticed. */
async function undeclaredImports({ directory, manifest }: PublishablePackage): Promise<string[]> {
  const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }));
  const lib = join(directory, "dist/lib");
  const found = new Set<string>();
  for (const file of await listFiles(lib)) {
    const source = await readFile(join(lib, file), "utf8");
    for (const [, specifier = ""] of source.matchAll(IMPORT)) {
      const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
      if (!isBuiltin(specifier) && !declared.has(name)) found.add(`${file} imports ${specifier}`);
    }
  }
  return [...found];
}
