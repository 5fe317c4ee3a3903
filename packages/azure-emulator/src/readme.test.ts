import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { ARM_ERROR_NAMES } from "./arm/named-errors.ts";
import { IMDS_ERROR_NAMES } from "./imds/named-errors.ts";
import { defaultSettings } from "./state/settings.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

test("the README's example does what its comments say", async () => {
  const [, example = ""] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  const printed = vi.spyOn(console, "log").mockImplementation(() => undefined);
  const folder = await mkdtemp(join(tmpdir(), "azure-emulator-readme-"));
  try {
    const file = join(folder, "example.ts");
    await writeFile(
      file,
      example.replace('"@podid/azure-emulator"', JSON.stringify(new URL("index.ts", import.meta.url).pathname)),
    );
    await import(/* @vite-ignore */ file);
    expect(printed.mock.calls.flat()).toEqual([
      400,
      400,
      200,
      429,
      ["token 400", "token 400", "token 200", "token 429"],
    ]);
  } finally {
    printed.mockRestore();
    await rm(folder, { recursive: true });
  }
});

test("the README names every error and every setting", () => {
  const [, group = ""] = /`FailedIdentityOperation` \(also ([^)]*)\)/.exec(readme) ?? [];
  const suffixes = [...group.matchAll(/`(\.\w+)`/g)].map(([, suffix = ""]) => `FailedIdentityOperation${suffix}`);
  const named = new Set([...readme.matchAll(/`([\w.-]+)`/g)].map(([, name = ""]) => name).concat(suffixes));
  expect(
    [...IMDS_ERROR_NAMES, ...ARM_ERROR_NAMES, ...Object.keys(defaultSettings())].filter((name) => !named.has(name)),
  ).toEqual([]);
});
