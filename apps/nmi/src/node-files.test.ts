import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { usesKubenet } from "./kubenet.ts";
import { allowRouteLocalnet } from "./route-localnet.ts";

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "nmi-"));
  file = join(directory, "file");
});
afterEach(() => rm(directory, { recursive: true }));

test.for([
  ["KUBELET_FLAGS=--network-plugin=cni", false],
  ["KUBELET_FLAGS=--v=2 --network-plugin=kubenet", true],
] as const)("S76 %s", async ([text, want]) => {
  await writeFile(file, text);
  expect(await usesKubenet(file)).toBe(want);
});

test("S76 an absent file names no plugin; an unreadable one stops the start", async () => {
  expect(await usesKubenet(file)).toBe(false);
  await expect(usesKubenet(directory)).rejects.toThrow();
});

test("S76 the process refuses to start, in upstream's words", async () => {
  await writeFile(join(directory, "10-containerd-net.conflist"), '{"name":"kubenet","plugins":[{"type":"bridge"}]}');
  const argv = ["--node=n", `--cni-config-dir=${directory}`, `--kubelet-config=${file}`];
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), ...argv], {
    encoding: "utf8",
  });
  expect(status).toBe(1);
  expect(stderr).toContain("AAD Pod Identity is not supported for Kubenet. Review https://azure.github.io/");
  expect(stderr).toContain("--allow-network-plugin-kubenet");
});

test("L-41 route_localnet is set where a loopback target needs it", async () => {
  await writeFile(file, "0\n");
  expect(await allowRouteLocalnet("10.0.0.1", file)).toEqual({ kind: "not-needed" });
  expect(await allowRouteLocalnet("127.0.0.1", file)).toEqual({ kind: "set" });
  expect(await readFile(file, "utf8")).toBe("1\n");
  expect(await allowRouteLocalnet("127.0.0.1", file)).toEqual({ kind: "already-set" });
  expect(await allowRouteLocalnet("127.0.0.1", join(directory, "absent"))).toMatchObject({
    kind: "failed",
    message: expect.stringContaining("set net.ipv4.conf.all.route_localnet=1") as string,
  });
});
