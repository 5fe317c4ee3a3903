import { readFile } from "node:fs/promises";

import { expect, test } from "vitest";

const folder = new URL(".", import.meta.url);

/** What a bundle of this entry contains: its sources, and the packages that they import. */
async function reach(entry: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(entry)) return seen;
  seen.add(entry);
  const text = await readFile(new URL(entry, folder), "utf8");
  for (const [, type, from] of text.matchAll(/^(?:import|export) (type )?.*?from "([^"]+)";$/gms))
    if (type === undefined)
      if (from!.startsWith("./")) await reach(from!.slice(2), seen);
      else seen.add(from!);
  return seen;
}

test.for([{ entry: "index.ts" }, { entry: "node-kubeconfig.ts" }])(
  "$entry stays free of @kubernetes/client-node, for what runs on every node",
  async ({ entry }) => {
    expect(await reach(entry)).not.toContain("@kubernetes/client-node");
  },
);

test("kubeconfig.ts goes through @kubernetes/client-node", async () => {
  expect(await reach("kubeconfig.ts")).toContain("@kubernetes/client-node");
});

test("no declaration that users see needs the types of @kubernetes/client-node", async () => {
  for (const name of ["kubeconfig.ts", "client-node-connection.ts"])
    expect(await readFile(new URL(name, folder), "utf8")).not.toMatch(/from "@kubernetes\/client-node"/);
});
