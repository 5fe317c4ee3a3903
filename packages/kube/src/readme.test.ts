import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { startKubeEmulator } from "@podid/kube-emulator";
import { expect, test } from "vitest";

import { transportFromKubeConfig } from "./http-transport.ts";
import { parseNodeKubeConfig } from "./node-kubeconfig.ts";
import { ResourceClient } from "./resource-client.ts";
import { RESOURCES } from "./resource.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

test("the README's example runs and prints the pods of each node", async () => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const code = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  const folder = await mkdtemp(join(tmpdir(), "podid-kube-"));
  const emulator = await startKubeEmulator();
  const transport = transportFromKubeConfig(parseNodeKubeConfig(emulator.kubeconfig()));
  try {
    const pods = new ResourceClient(transport, RESOURCES.pods);
    for (const [name, nodeName] of [
      ["a", "one"],
      ["b", "one"],
      ["c", "two"],
    ] as const)
      await pods.create({
        metadata: { name, namespace: "default" },
        spec: { nodeName, containers: [{ name: "c", image: "i" }] },
      });
    await writeFile(join(folder, "config"), emulator.kubeconfig());
    const env = { ...process.env, KUBECONFIG: join(folder, "config") };
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module-typescript", "-e", code], {
      cwd: root,
      env,
    });
    expect(stdout).toBe("one: a, b\ntwo: c\n");
  } finally {
    await transport.close();
    await emulator.close();
    await rm(folder, { recursive: true });
  }
});
