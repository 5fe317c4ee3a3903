import { spawnSync } from "node:child_process";
import { join } from "node:path";
import {
  findNativeTools,
  MissingToolsError,
  MOUNT_SCRIPT,
  NamespacesForbiddenError,
  probeNamespaces,
} from "@podid/native-tools";
import type { NamespaceMode } from "@podid/native-tools";
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

test("S75 from ready to cleanup no packet of a pod reaches raw IMDS", { timeout: 60_000 }, async (context) => {
  const ready = await prepare();
  context.skip(ready === undefined, "no namespaces or no iptables here");
  if (ready === undefined) return;
  const user = ready.mode.userNamespace ? ["--user", "--map-root-user"] : [];
  const run = spawnSync(
    "unshare",
    [
      ...user,
      "--net",
      "--mount",
      "--pid",
      "--fork",
      "--kill-child",
      "sh",
      "-c",
      `${MOUNT_SCRIPT}; exec "$0" "$@"`,
      process.execPath,
      join(import.meta.dirname, "../test/closed-for-life.ts"),
    ],
    { env: { ...process.env, PATH: ready.path }, encoding: "utf8", timeout: 55_000 },
  );
  expect(run.stderr).toBe("");
  const seen = JSON.parse(run.stdout) as Record<string, unknown>;
  const some = expect.any(Number) as number;
  expect(seen["served"]).toEqual({ 200: some });
  // Refused, reset or answered by NMI, but never by anybody else.
  for (const phase of ["terminated", "startedAgain", "killed", "apiServerAway", "natWiped"]) {
    expect(
      Object.keys(seen[phase] as object).filter(
        (outcome) => !/^(200|500|503|ECONNREFUSED|ECONNRESET|timeout)$/.test(outcome),
      ),
    ).toEqual([]);
  }
  expect(seen["terminated"]).toMatchObject({ ECONNREFUSED: some });
  expect(seen["askedImds"]).toEqual(["10.2.0.1"]);
  // The way out by hand, which also shows that the above could have failed.
  expect(seen["cleanup"]).toEqual([0, ["10.2.0.1", "10.1.0.2"]]);
  expect(seen["uninstalled"]).toEqual([0, null]);
});
