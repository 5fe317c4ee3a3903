import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findIsolation } from "@podid/native-tools";
import { expect, test } from "vitest";

test("S75 from ready to cleanup no packet of a pod reaches raw IMDS", { timeout: 60_000 }, async (context) => {
  const isolation = await findIsolation();
  if (typeof isolation === "string") return context.skip(isolation);
  const program = join(import.meta.dirname, "../test/closed-for-life.ts");
  const run = spawnSync("unshare", isolation.args(process.execPath, program), {
    env: isolation.env,
    encoding: "utf8",
    timeout: 55_000,
  });
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
