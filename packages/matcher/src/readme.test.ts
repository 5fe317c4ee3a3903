import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("the README names every reason", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const source = readFileSync(new URL("denial.ts", import.meta.url), "utf8");
  for (const [, reason] of source.matchAll(/\| "([a-z-]+)"/g)) expect(readme).toContain(`\`${reason}\``);
});
