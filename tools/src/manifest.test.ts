import { describe, expect, test } from "vitest";
import { built, entrySources, publishedManifest, rewriteDeclaration } from "./manifest.ts";

const MANIFEST = {
  name: "@podid/thing",
  version: "0.1.0",
  description: "A thing",
  type: "module",
  bin: { thing: "./src/bin.ts" },
  exports: { ".": "./src/index.ts", "./testing": "./src/testing/index.ts" },
  scripts: { build: "make" },
  nx: { tags: ["type:pure"] },
  dependencies: { "@podid/other": "0.1.0" },
  devDependencies: { vitest: "5" },
};

test("publishedManifest points at the built files and drops what only the workspace needs", () => {
  expect(publishedManifest(MANIFEST)).toEqual({
    name: "@podid/thing",
    version: "0.1.0",
    description: "A thing",
    type: "module",
    bin: { thing: "./lib/bin.js" },
    exports: {
      ".": { types: "./lib/index.d.ts", default: "./lib/index.js" },
      "./testing": { types: "./lib/testing/index.d.ts", default: "./lib/testing/index.js" },
      "./package.json": "./package.json",
    },
    files: ["lib"],
    dependencies: { "@podid/other": "0.1.0" },
  });
});

test("entrySources lists exports and commands once", () => {
  expect(entrySources({ ...MANIFEST, bin: { a: "./src/bin.ts", b: "./src/bin.ts" } })).toEqual([
    "./src/index.ts",
    "./src/testing/index.ts",
    "./src/bin.ts",
  ]);
});

test("built refuses what is not a source", () => {
  expect(() => built("./dist/index.js", ".js")).toThrow(`"./dist/index.js" is no entry point`);
});

describe("rewriteDeclaration", () => {
  test.for([
    [`export { a } from "./a.ts";`, `export { a } from "./a.js";`],
    [`import type { B } from '../b/c.ts';`, `import type { B } from '../b/c.js';`],
    [`let x: import("./a.ts").A;`, `let x: import("./a.js").A;`],
    [`import { N } from "node:net";`, `import { N } from "node:net";`],
    [`import { P } from "@podid/p.ts";`, `import { P } from "@podid/p.ts";`],
    [`/** reads ./a.ts */`, `/** reads ./a.ts */`],
  ])("%s", ([given = "", want]) => {
    expect(rewriteDeclaration(given)).toBe(want);
  });
});
