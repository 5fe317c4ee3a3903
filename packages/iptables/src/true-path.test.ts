import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findIsolation, type Isolation } from "@podid/native-tools";
import { expect, test } from "vitest";

const isolation = await findIsolation();

/** Some kernels have only one of the two, and in a user namespace iptables-legacy-save is not told which tables there are. */
function hasBackend(backend: string, place: Isolation): boolean {
  const script = `iptables-${backend} -t nat -N probe && iptables-${backend} -t mangle -N probe && iptables-${backend}-save | grep -q probe`;
  return spawnSync("unshare", place.args("sh", "-c", script), { env: place.env }).status === 0;
}

test.for([{ backend: "nft" }, { backend: "legacy" }])(
  "a pod's requests on the true path, $backend",
  { timeout: 120_000 },
  ({ backend }, context) => {
    if (typeof isolation === "string") return context.skip(isolation);
    context.skip(!hasBackend(backend, isolation), `iptables-${backend} does not work here`);
    const program = join(import.meta.dirname, "../test/true-path.ts");
    const run = spawnSync("unshare", isolation.args(process.execPath, program, backend), {
      env: isolation.env,
      encoding: "utf8",
      timeout: 90_000,
    });
    expect(run.stderr).toBe("");
    const POD = "10.1.0.2";
    expect(JSON.parse(run.stdout)).toEqual({
      before: [`raw ${POD}`, `raw ${POD}`, 1],
      installed: { changed: true },
      otherBackend: hasBackend(backend === "nft" ? "legacy" : "nft", isolation)
        ? ["-A PREROUTING -i foreign1 -j ACCEPT"]
        : [],
      // The kept connection is cut or redirected; what it may never do is to go on to raw IMDS.
      // CVE-2020-8558: what route_localnet lets in is dropped.
      redirected: [`nmi ${POD}`, expect.not.stringMatching(/^raw/), 0],
      again: [{ changed: false }, true],
      nodeItself: "raw 10.2.0.1",
      natWiped: [false, "ECONNREFUSED", "raw 10.2.0.1"],
      filterWipedToo: ["timeout", "raw 10.2.0.1"],
      repaired: [{ changed: true }, `nmi ${POD}`],
      keptRedirected: `nmi ${POD}`,
      repairedUnderConnection: [{ changed: true }, `nmi ${POD}`],
      swapped: [{ changed: true }, `nmi ${POD}`, `second ${POD}`],
      sharedChainGone: [true, `second ${POD}`],
      movedBack: [{ changed: true }, `nmi ${POD}`],
      wireServer: [
        [`wire ${POD}`, `wire ${POD}`],
        ["ECONNREFUSED", `wire ${POD}`],
        "wire 10.2.0.1",
        ["timeout", `wire ${POD}`],
      ],
      removed: [`raw ${POD}`, `raw ${POD}`, false],
      left: ["-A PREROUTING -i foreign0 -j ACCEPT"],
      withoutConntrack: ["ECONNRESET", `nmi ${POD}`],
    });
  },
);
