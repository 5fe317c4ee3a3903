import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { findIsolation, type Isolation } from "@podid/native-tools";
import { afterAll, expect, test } from "vitest";

const isolation = await findIsolation();
const root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find((path) => existsSync(join(path, "cgroup.controllers")));
const folder = makeFolder();
afterAll(() => {
  if (folder !== undefined) rmdirSync(folder);
});

function makeFolder(): string | undefined {
  if (root === undefined) return undefined;
  const path = join(root, `podid-test-${process.pid}`);
  try {
    mkdirSync(path);
    return path;
  } catch {
    return undefined;
  }
}

/** Kernels are built with and without it. */
function matchesGroups(backend: string, place: Isolation, path: string): boolean {
  const script = `iptables-${backend} -A OUTPUT -m cgroup --path ${path} -j ACCEPT && iptables-${backend} -t nat -N probe && iptables-${backend}-save | grep -q cgroup`;
  return spawnSync("unshare", place.args("sh", "-c", script), { env: place.env }).status === 0;
}

test.for([{ backend: "nft" }, { backend: "legacy" }])(
  "the node's own processes, but for a control group, $backend",
  { timeout: 60_000 },
  ({ backend }, context) => {
    if (typeof isolation === "string") return context.skip(isolation);
    if (root === undefined) return context.skip("no control groups v2 here");
    if (folder === undefined) return context.skip(`no right to make a control group in ${root}`);
    const path = folder.slice(root.length + 1);
    if (!matchesGroups(backend, isolation, path))
      return context.skip(`iptables-${backend} cannot match control groups here`);
    const program = join(import.meta.dirname, "../test/host-network.ts");
    const run = spawnSync("unshare", isolation.args(process.execPath, program, backend, root, folder), {
      env: isolation.env,
      encoding: "utf8",
      timeout: 55_000,
    });
    expect(run.stderr).toBe("");
    const [RAW, NMI] = ["raw 10.2.0.1", "nmi 10.2.0.1"];
    expect(JSON.parse(run.stdout)).toEqual({
      before: [RAW, RAW, RAW],
      installed: [{ changed: true }, true, { changed: false }],
      intercepted: [RAW, RAW, NMI],
      natWiped: [RAW, RAW, "ECONNREFUSED"],
      remade: [NMI, { changed: false }, NMI],
      rewritten: [{ changed: true }, RAW, NMI],
      removed: [RAW, RAW],
    });
  },
);
