import { deepEqual } from "node:assert/strict";
import { join } from "node:path";
import { arrival, settled, stateOf } from "./crash-journeys.ts";
import type { Journey } from "./crash-journeys.ts";
import type { MicCluster } from "./mic-cluster.ts";

export interface Crash {
  /** From 1. */
  readonly write: number;
  readonly phase: "before" | "after";
}

export interface CrashRun {
  /** Every write from the beginning of the journey on, as `METHOD path`. */
  readonly steps: readonly string[];
  readonly died: boolean;
  readonly state: object;
}

const PROGRAM = join(import.meta.dirname, "../../programs/die-at-write.mjs");

/** One journey, with a MIC that dies on the way and another one that comes after it; without `crash` it lives. */
export async function crashRun(c: MicCluster, journey: Journey, crash?: Crash, want?: object): Promise<CrashRun> {
  await journey.prepare(c);
  const mic = await c.mic([], {
    NODE_OPTIONS: `--import=${PROGRAM}`,
    ...(crash && { PODID_E2E_DIE: JSON.stringify(crash) }),
  });
  await c.becomes(journey.before);
  await settled(c);
  mic.kill("SIGUSR2");
  await mic.says("writes are counted from now on");
  await journey.travel(c);
  // What comes first: a run may have fewer writes than another one had.
  await Promise.race([arrival(c, journey, 45_000), ...(crash === undefined ? [] : [mic.exited])]);
  const died = !mic.isRunning;
  if (died) {
    // It would run out; that is not what is tried here.
    await c.dropLease();
    await c.mic();
    await arrival(c, journey, 45_000);
  }
  if (want !== undefined) await c.eventually(async () => deepEqual(await stateOf(c), want));
  const steps = mic.fields.flatMap(({ msg, step }) => (msg === "write" && typeof step === "string" ? [step] : []));
  return { steps, died, state: await stateOf(c) };
}
