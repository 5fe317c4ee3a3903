import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findIsolation } from "@podid/native-tools";
import { expect, test } from "vitest";

const some = expect.any(Number) as number;
const ALL_SERVED = { 200: some, "kept 200": some };
const HOME = { "aad-metadata": "2579", "podid-metadata": "2579" };
const BESIDE = { "aad-metadata": "2579", "podid-metadata": "2580" };
/** Refused, reset or answered by a node agent, but never by anybody else. */
const CLOSED = /^(kept )?(200|500|503|ECONNREFUSED|ECONNRESET|timeout)$/;

test(
  "S75 node agents follow each other, and no request is lost or reaches raw IMDS",
  { timeout: 120_000 },
  async (context) => {
    const isolation = await findIsolation();
    if (typeof isolation === "string") return context.skip(isolation);
    const program = join(import.meta.dirname, "../../test/hand-over.ts");
    const run = spawnSync("unshare", isolation.args(process.execPath, program), {
      env: isolation.env,
      encoding: "utf8",
      timeout: 115_000,
    });
    expect(run.stderr).toBe("");
    const seen = JSON.parse(run.stdout) as Record<string, unknown>;
    const upgrade = { outcomes: ALL_SERVED, away: BESIDE, exit: 0, home: HOME, tookOver: true };
    expect(seen["upgrades"]).toEqual([upgrade, upgrade]);
    expect(seen["afterSuccessorKilled"]).toEqual([ALL_SERVED, HOME]);
    expect(seen["over"]).toEqual({
      outcomes: ALL_SERVED,
      beside: BESIDE,
      chainGone: { "podid-metadata": "2580" },
      home: HOME,
    });
    expect(seen["rollBackExits"]).toEqual([1, 0]);
    expect(seen["rolledBack"]).toEqual(ALL_SERVED);
    expect(seen["givenUp"]).toEqual([0, HOME, ALL_SERVED]);
    for (const phase of ["successorKilled", "killedWhileWaiting", "rollBack", "otherGone"]) {
      const strange = Object.keys(seen[phase] as object).filter((outcome) => !CLOSED.test(outcome));
      expect([phase, strange]).toEqual([phase, []]);
    }
    expect(seen["otherGone"]).toMatchObject({ ECONNREFUSED: some });
    expect(seen["askedImds"]).toEqual(["10.2.0.1"]);
  },
);
