import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");

function source(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Members of a union of texts. */
function union(path: string, name: string): string[] {
  const [, body = ""] = new RegExp(`export type ${name} =([^;]+);`).exec(source(path)) ?? [];
  return [...body.matchAll(/"([a-z-]+)"/g)].map(([, member = ""]) => member);
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => source(join(folder, name)));
}

test("docs/http.md explains every reason that a pod can be given", () => {
  const written = [...sources("packages/imds-proxy/src"), ...sources("apps/nmi/src/sources")].flatMap((text) =>
    [...text.matchAll(/reason: "([a-z-]+)"/g)].map(([, reason = ""]) => reason),
  );
  const reasons = new Set([
    ...union("packages/imds-proxy/src/request.ts", "RefusalReason"),
    ...union("packages/matcher/src/denial.ts", "DenialReason"),
    ...written,
  ]);
  expect(reasons.size).toBeGreaterThan(40);
  const page = source("docs/http.md");
  expect([...reasons].filter((reason) => !page.includes(`\`${reason}\``))).toEqual([]);
});
