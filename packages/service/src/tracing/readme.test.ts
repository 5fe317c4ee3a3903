import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const PACKAGE = join(import.meta.dirname, "../..");

test("the README's example of a trace prints what it says", async () => {
  const [, section = ""] = readFileSync(join(PACKAGE, "README.md"), "utf8").split("## Traces");
  const code = /```ts\n([^]*?)```/.exec(section)?.[1] ?? "";
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module-typescript", "-e", code], {
    cwd: PACKAGE,
  });
  expect(stdout).toBe(/```text\n([^]*?)```/.exec(section)?.[1]);
});
