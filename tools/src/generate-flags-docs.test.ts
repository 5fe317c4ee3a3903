import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { FLAGS_FILE, flagsPage } from "./generate-flags-docs.ts";

test("docs/flags.md is what the programs' tables say; else run: npm run docs:flags", async () => {
  expect(await readFile(FLAGS_FILE, "utf8")).toBe(await flagsPage());
});
