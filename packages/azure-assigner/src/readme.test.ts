import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the README names every kind of problem", () => {
  const source = readFileSync(new URL("arm-problem.ts", import.meta.url), "utf8");
  for (const [, kind] of source.matchAll(/readonly kind: "([a-z-]+)"/g)) expect(readme).toContain(`\`${kind}\``);
});
