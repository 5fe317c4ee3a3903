import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findIsolation } from "@podid/native-tools";
import { expect, test } from "vitest";

const some = expect.any(Number) as number;
/** Refused, reset or answered by NMI, but never by anybody else. */
const CLOSED = /^(kept )?(200|500|503|ECONNREFUSED|ECONNRESET|timeout)$/;
const PHASES = [
  "terminated",
  "startedAgain",
  "killed",
  "apiServerAway",
  "natWiped",
  "chainsDeleted",
  "filterFlushed",
  "guardFlushedAndNatWiped",
  "mangleFlushed",
  "jumpBehindAcceptingRule",
];

test("S75 from ready to cleanup no packet of a pod reaches raw IMDS", { timeout: 240_000 }, async (context) => {
  const isolation = await findIsolation();
  if (typeof isolation === "string") return context.skip(isolation);
  const program = join(import.meta.dirname, "../test/closed-for-life.ts");
  const run = spawnSync("unshare", isolation.args(process.execPath, program), {
    env: isolation.env,
    encoding: "utf8",
    timeout: 235_000,
  });
  expect(run.stderr).toBe("");
  const seen = JSON.parse(run.stdout) as Record<string, unknown>;
  expect(seen["linkLocal"]).toEqual([true, "0", { 200: some, "kept 200": some }]);
  expect(seen["linkLocalGone"]).toEqual([0, false, true]);
  expect(seen["s75"]).toEqual([
    "-A aad-metadata ! -s 127.0.0.1/32 -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579",
    "-A aad-metadata -j RETURN",
  ]);
  expect(seen["served"]).toEqual({ 200: some, "kept 200": some });
  for (const phase of PHASES) {
    const strange = Object.keys(seen[phase] as object).filter((outcome) => !CLOSED.test(outcome));
    expect([phase, strange]).toEqual([phase, []]);
  }
  expect(seen["terminated"]).toMatchObject({ ECONNREFUSED: some });
  expect(seen["servedAgain"]).toEqual({ 200: some, "kept 200": some });
  expect(seen["refusals"]).toEqual({ 401: [0, true], 403: [0, true], 404: [0, true], 503: [0, true] });
  expect(seen["askedImds"]).toEqual(["10.2.0.1"]);
  // The way out by hand, which leaves the node as it was, and shows that all of the above could have failed.
  expect(seen["cleanup"]).toEqual([0, true]);
  expect(seen["afterCleanup"]).toEqual(["10.2.0.1", "10.1.0.2"]);
  expect(seen["guardPrinted"]).toMatchObject({ ECONNREFUSED: some });
  expect(seen["guard"]).toEqual([0, true]);
  expect(seen["uninstalled"]).toEqual([0, true]);
});
