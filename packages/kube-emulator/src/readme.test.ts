import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

test("the README's example runs", async () => {
  const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  const folder = await mkdtemp(join(tmpdir(), "kube-emulator-readme-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "example.ts");
  const entry = JSON.stringify(new URL("index.ts", import.meta.url).href);
  await writeFile(file, `${example.replace('"@podid/kube-emulator"', entry)}\nexport { first, refused };`);
  const result = (await import(file)) as { first: unknown; refused: number };
  expect(result).toMatchObject({
    first: { type: "ADDED", object: { metadata: { name: "hello" } } },
    refused: 429,
  });
});
