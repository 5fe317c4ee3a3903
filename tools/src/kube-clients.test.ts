import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findKubeClient } from "./kube-clients.ts";
import type { KubeClient } from "./kube-clients.ts";

/** A folder with a program of that name that prints `version`. */
async function folderWith(name: KubeClient, version: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "podid-clients-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 });
  return folder;
}

function kubectlVersion(gitVersion: string): string {
  return JSON.stringify({ clientVersion: { major: "1", gitVersion }, kustomizeVersion: "v5.7.1" });
}

test.for<{ name: KubeClient; version: string; good: boolean }>([
  { name: "helm", version: "v3.7.2+g663a896", good: false },
  { name: "helm", version: "v3.8.0+gd141386", good: true },
  { name: "helm", version: "v4.1.4", good: true },
  { name: "helm", version: "Error: unknown flag", good: false },
  { name: "kubectl", version: kubectlVersion("v1.20.15"), good: false },
  { name: "kubectl", version: kubectlVersion("v1.34.0-eks-1"), good: true },
])("$name $version on the PATH is used: $good", async ({ name, version, good }) => {
  const folder = await folderWith(name, version);
  const found = findKubeClient(name, folder);
  if (good) expect(found).toBe(join(folder, name));
  else expect(found).not.toBe(join(folder, name));
});

test("an old one does not hide a newer one behind it", async () => {
  const old = await folderWith("helm", "v2.17.0");
  const recent = await folderWith("helm", "v4.0.0");
  expect(findKubeClient("helm", `${old}::${recent}`)).toBe(join(recent, "helm"));
});
