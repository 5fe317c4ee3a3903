import { readdir, readFile } from "node:fs/promises";

import { expect, test } from "vitest";

const folder = new URL(".", import.meta.url);

test("no source imports @kubernetes/client-node, not even as a type: it is 80 MiB, and who installs this package may not have it", async () => {
  const sources = (await readdir(folder)).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const importing: string[] = [];
  for (const name of sources) {
    const text = await readFile(new URL(name, folder), "utf8");
    for (const [line] of text.matchAll(/^import .*@kubernetes\/client-node.*$/gm)) importing.push(`${name}: ${line}`);
  }
  expect(importing).toEqual([]);
});
