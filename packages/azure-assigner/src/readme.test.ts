import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the README's example prints what the README says", async () => {
  const code = /```ts\n([^]*?)```/.exec(readme)?.[1] ?? "";
  const want = /```text\n([^]*?)\n```/.exec(readme)?.[1];
  // Inside the package, so that its own name resolves.
  const folder = mkdtempSync(join(import.meta.dirname, "../.readme-"));
  const print = vi.spyOn(console, "log").mockImplementation(() => undefined);
  try {
    const file = join(folder, "example.ts");
    writeFileSync(file, code);
    await import(file);
    expect(print.mock.calls.map((line) => line.join(" ")).join("\n")).toBe(want);
  } finally {
    print.mockRestore();
    rmSync(folder, { recursive: true });
  }
});

test("the README names every kind of problem", () => {
  const source = readFileSync(new URL("arm-problem.ts", import.meta.url), "utf8");
  for (const [, kind] of source.matchAll(/readonly kind: "([a-z-]+)"/g)) expect(readme).toContain(`\`${kind}\``);
});
