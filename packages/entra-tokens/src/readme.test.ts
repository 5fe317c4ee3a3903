import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as library from "./index.ts";

test("what the README's table names is exported", async () => {
  const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");
  const rows = readme.split("\n").filter((line) => line.startsWith("| `"));
  const names = rows.flatMap((row) =>
    [...(row.split("|")[1] ?? "").matchAll(/`(?:new )?(\w+)/g)].map(([, name]) => name),
  );
  expect(names.length).toBeGreaterThan(6);
  for (const name of names) expect(library).toHaveProperty(name ?? "");
});
