import { describe, test } from "vitest";
import { JOURNEYS } from "./scenarios/crash-journeys.ts";
import type { Journey } from "./scenarios/crash-journeys.ts";
import { crashRun } from "./scenarios/crash-run.ts";
import type { Crash, CrashRun } from "./scenarios/crash-run.ts";
import { startEmulator } from "./scenarios/kube-server.ts";
import { MicCluster } from "./scenarios/mic-cluster.ts";

/**
 * MIC is killed before and after every one of its writes. Whatever it had done, the next one brings everything to where it would
 * have been: nothing is leaked, nothing orphaned, nothing of others touched. All of them with PODID_LONG=1, else a spread of them.
 */
const LONG = process.env["PODID_LONG"] === "1";
/** Of each journey's crashes so many are tried. */
const SAMPLE = 3;

// The other lane's server would have to be there five times.
const ELSEWHERE = process.env["PODID_API_SERVER"] === "real";

describe.skipIf(ELSEWHERE).concurrent("MIC is killed on the way", { timeout: LONG ? 3_600_000 : 600_000 }, () => {
  test.for([...JOURNEYS])("$name", async (journey, { expect }) => {
    const cluster = await MicCluster.start(startEmulator);
    try {
      const whole = await crashRun(cluster, journey);
      await cluster.reset();
      expect(whole.steps.length).toBeGreaterThan(2);
      const crashes = whole.steps.flatMap((_, at): Crash[] => [
        { write: at + 1, phase: "before" },
        { write: at + 1, phase: "after" },
      ]);
      let killed = 0;
      for (const crash of LONG ? crashes : spread(crashes, SAMPLE)) {
        killed += (await survived(cluster, journey, whole, crash)) ? 1 : 0;
        await cluster.reset();
      }
      expect(killed).toBeGreaterThan(0);
      if (LONG) process.stdout.write(`${journey.name}: ${whole.steps.length} writes, killed ${killed} times\n`);
    } finally {
      await cluster.close();
    }
  });
});

/** @returns whether it died at all @throws with the step when the end is not the one of the whole journey */
async function survived(cluster: MicCluster, journey: Journey, whole: CrashRun, crash: Crash): Promise<boolean> {
  try {
    return (await crashRun(cluster, journey, crash, whole.state)).died;
  } catch (error) {
    const step = whole.steps[crash.write - 1];
    throw new Error(`killed ${crash.phase} write ${crash.write}, ${step}: ${String(error)}\n${cluster.tails}`, {
      cause: error,
    });
  }
}

/** So many of them, the first and the last included, the others as far apart as can be. */
function spread<T>(items: readonly T[], count: number): T[] {
  const step = (items.length - 1) / (count - 1);
  return Array.from({ length: Math.min(count, items.length) }, (_, at) => items[Math.round(at * step)]!);
}
