import { spawnSync } from "node:child_process";
import { join } from "node:path";
import {
  findNativeTools,
  MissingToolsError,
  MOUNT_SCRIPT,
  NamespacesForbiddenError,
  probeNamespaces,
  type NamespaceMode,
} from "@podid/native-tools";
import { expect, test } from "vitest";

/** What to run with, or `undefined` after saying why this machine cannot. */
async function prepare(): Promise<{ path: string; mode: NamespaceMode } | undefined> {
  try {
    const { path } = await findNativeTools();
    return { path, mode: probeNamespaces(path) };
  } catch (error) {
    if (!(error instanceof NamespacesForbiddenError || error instanceof MissingToolsError)) throw error;
    process.stderr.write(`skipped: ${error.message}\n`);
    return undefined;
  }
}

const ready = await prepare();
const env = { ...process.env, PATH: ready?.path };
const unshare = [
  ...(ready?.mode.userNamespace === true ? ["--user", "--map-root-user"] : []),
  "--net",
  "--mount",
  "--pid",
  "--fork",
  "--kill-child",
];

/** Some kernels have only one of the two, and in a user namespace iptables-legacy-save is not told which tables there are. */
function hasBackend(backend: string): boolean {
  const script = `${MOUNT_SCRIPT}; iptables-${backend} -t nat -N probe && iptables-${backend} -t mangle -N probe && iptables-${backend}-save | grep -q probe`;
  const tried = spawnSync("unshare", [...unshare, "sh", "-c", script], {
    env,
    encoding: "utf8",
  });
  if (tried.status !== 0) process.stderr.write(`skipped: iptables-${backend} does not work here: ${tried.stderr}\n`);
  return tried.status === 0;
}

test.for([{ backend: "nft" }, { backend: "legacy" }])(
  "a pod's requests on the true path, $backend",
  ({ backend }, context) => {
    context.skip(ready === undefined, "no namespaces or no iptables here");
    context.skip(!hasBackend(backend), `iptables-${backend} does not work here`);
    const program = join(import.meta.dirname, "../test/true-path.ts");
    const script = `${MOUNT_SCRIPT}; exec "$0" "$@"`;
    const run = spawnSync("unshare", [...unshare, "sh", "-c", script, process.execPath, program, backend], {
      env,
      encoding: "utf8",
      timeout: 19_000,
    });
    expect(run.stderr).toBe("");
    const POD = "10.1.0.2";
    expect(JSON.parse(run.stdout)).toEqual({
      before: [`raw ${POD}`, `raw ${POD}`],
      installed: { changed: true },
      // The kept connection is cut or redirected; what it may never do is to go on to raw IMDS.
      redirected: [`nmi ${POD}`, expect.not.stringMatching(/^raw/)],
      again: [{ changed: false }, true],
      nodeItself: "raw 10.2.0.1",
      natWiped: [false, "ECONNREFUSED", "raw 10.2.0.1"],
      filterWipedToo: ["timeout", "raw 10.2.0.1"],
      repaired: [{ changed: true }, `nmi ${POD}`],
      keptRedirected: `nmi ${POD}`,
      repairedUnderConnection: [{ changed: true }, `nmi ${POD}`],
      removed: [`raw ${POD}`, `raw ${POD}`, false],
      left: ["-A PREROUTING -i foreign0 -j ACCEPT"],
      withoutConntrack: ["ECONNRESET", `nmi ${POD}`],
    });
  },
);
