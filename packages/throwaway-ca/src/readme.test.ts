import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

test("the README's example runs", async () => {
  const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  const entry = JSON.stringify(new URL("index.ts", import.meta.url).href);
  const source = `${example.replace('"@podid/throwaway-ca"', entry)}\nexport { authority, server, client };`;
  const result = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as { client: { keyPem: string } };
  expect(result.client.keyPem).toContain("PRIVATE KEY");
});
