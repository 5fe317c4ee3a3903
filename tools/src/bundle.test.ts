import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { runInNewContext } from "node:vm";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asciiOnly, BUNDLE_OPTIONS } from "./bundle.ts";

const PROGRAM = `
import { startTracing, tracingSettings } from "@podid/service";
const { settings } = tracingSettings(process.argv[2] ?? "", {});
const tracing = await startTracing(settings, { service: "test", version: "1", onProblem: console.error });
tracing.start("bundled").end();
await tracing.close();
console.log(JSON.stringify(process.moduleLoadList.filter((name) => /NativeModule (http|https|zlib|child_process)$/.test(name))));
`;

describe("tracing in a bundle", () => {
  let folder: string;
  let program: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bundle-"));
    program = join(folder, "program.mjs");
    const { outputFiles } = await build({
      ...BUNDLE_OPTIONS,
      stdin: { contents: PROGRAM, resolveDir: import.meta.dirname, loader: "ts" },
      legalComments: "none",
      write: false,
    });
    await writeFile(program, asciiOnly(outputFiles[0]?.text ?? ""));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function run(...argv: readonly string[]): Promise<unknown> {
    const { stdout } = await promisify(execFile)(process.execPath, [program, ...argv]);
    return JSON.parse(stdout);
  }

  test("off, it loads none of Node's modules that it needs when on", async () => {
    expect(await run()).toEqual([]);
  });

  test("on, it sends", async () => {
    const bodies: string[] = [];
    const collector = createServer((request, response) => {
      void text(request).then((body) => {
        bodies.push(body);
        response.end("{}");
      });
    });
    await new Promise<void>((resolve) => {
      collector.listen(0, "127.0.0.1", resolve);
    });
    expect(await run(`http://127.0.0.1:${(collector.address() as AddressInfo).port}`)).toContain("NativeModule http");
    expect(bodies.join("")).toContain('"name":"bundled"');
    collector.close();
  });
});

test("characters beyond ASCII are escaped, in regular expressions too", () => {
  const source = asciiOnly("[/[‘’]/.test('’'), `é${'😀'.length}`]");
  expect(/^[\u0000-\u007f]*$/.test(source)).toBe(true);
  expect(runInNewContext(source)).toEqual([true, "é2"]);
});
