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
  { timeout: 240_000 },
  async (context) => {
    const isolation = await findIsolation();
    if (typeof isolation === "string") return context.skip(isolation);
    const program = join(import.meta.dirname, "../../test/hand-over.ts");
    const run = spawnSync("unshare", isolation.args(process.execPath, program), {
      env: isolation.env,
      encoding: "utf8",
      timeout: 235_000,
    });
    expect(run.stderr).toBe("");
    const seen = JSON.parse(run.stdout) as Record<string, unknown>;
    const upgrade = { outcomes: ALL_SERVED, away: BESIDE, exit: 0, home: HOME, tookOver: true };
    // The second one may find the first one's old port still open, for connections that are idle.
    const again = { ...BESIDE, "podid-metadata": expect.stringMatching(/^\d+$/) as string };
    expect(seen["upgrades"]).toEqual([upgrade, { ...upgrade, away: again }]);
    expect(seen["afterSuccessorKilled"]).toEqual([ALL_SERVED, HOME]);
    expect(seen["over"]).toEqual({
      outcomes: expect.objectContaining(ALL_SERVED) as object,
      beside: BESIDE,
      chainGone: { "podid-metadata": "2580" },
      home: HOME,
    });
    // aad-pod-identity's NMI ends with its connections open; nothing else may go wrong.
    const { outcomes } = seen["over"] as { outcomes: Record<string, number> };
    const lost = Object.entries(outcomes).filter(([outcome]) => !(outcome in ALL_SERVED));
    expect(lost.filter(([outcome, times]) => outcome !== "kept ECONNRESET" || times > 1)).toEqual([]);
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
