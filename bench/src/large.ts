import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "@podid/e2e/until";
import { figure } from "./figure.ts";
import type { Figure, SuiteOptions } from "./figure.ts";
import { LargeApiServer } from "./large-api-server.ts";
import {
  BINDINGS,
  identityName,
  identitySpec,
  LargeCluster,
  SCALE_SETS,
  scaleSetName,
  scaleSetOf,
} from "./large-cluster.ts";
import { linePlot } from "./line-plot.ts";
import { identityId, MicStage, scaleSetId } from "./mic-stage.ts";
import type { ShippedProcess } from "./shipped-process.ts";

const COUNTS = (process.env["PODID_BENCH_LARGE_PODS"] ?? "1000,25000,50000,100000,150000").split(",").map(Number);
const START_TIMEOUT_MS = 300_000;
/** A start is over when nothing was written for so long: statuses are written once, and again at most every 30 s. */
const SETTLE_MS = 8_000;
/** Reconciling six times as often as by default, so that the window has some of it. */
const RECONCILE_S = 30;
const QUIET_S = Number(process.env["PODID_BENCH_QUIET_S"] ?? 60);
const READS: ReadonlySet<string> = new Set(["GET", "HEAD"]);
const WRITES: ReadonlySet<string> = new Set(["create", "update", "patch", "delete"]);

interface Point {
  readonly pods: number;
  readonly seconds: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
}

interface Quiet {
  readonly cpuSeconds: number;
  readonly reads: number;
  readonly writes: number;
  readonly kubeRequests: number;
}

/**
 * MIC as shipped, leading in clusters of up to 150 000 pods that all have their identity, on 5 000 nodes of 50 scale sets with 2 000
 * bindings; a new process for each size. In the largest it is left alone afterwards.
 */
export async function largeFigures({ plots }: SuiteOptions = {}): Promise<readonly Figure[]> {
  const stage = await MicStage.start({
    userAssignedIdentities: Array.from({ length: BINDINGS }, (_, at) => ({
      id: identityId(identityName(at)),
      clientId: identitySpec(at).clientID ?? "",
    })),
    scaleSets: Array.from({ length: SCALE_SETS }, (_, scaleSet) => ({
      id: scaleSetId(scaleSetName(scaleSet)),
      instances: 1,
      userAssigned: Array.from({ length: BINDINGS }, (_unused, at) => at)
        .filter((at) => scaleSetOf(at) === scaleSet)
        .map((at) => identityId(identityName(at))),
    })),
  });
  const cluster = await LargeCluster.create(stage);
  const server = await LargeApiServer.start(cluster, stage.kube);
  try {
    const points: Point[] = [];
    let quiet: Quiet | undefined;
    for (const pods of COUNTS) {
      server.pods = pods;
      const started = performance.now();
      const mic = stage.mic([`--identity-assignment-reconcile-interval=${RECONCILE_S}s`], server.url);
      const armBefore = stage.armRequests().length;
      await mic.active(START_TIMEOUT_MS);
      const seconds = (performance.now() - started) / 1000;
      // A leader first reads what is stored; then it looks at Azure.
      await until(
        "MIC looks at Azure",
        () => Promise.resolve(stage.armRequests().length > armBefore),
        START_TIMEOUT_MS,
      );
      await untilQuiet(stage);
      const { residentBytes, peakBytes } = mic.memory;
      points.push({ pods, seconds, residentBytes, peakBytes });
      process.stderr.write(
        `large: ${pods} pods, leading after ${seconds.toFixed(1)} s, ${(residentBytes / 1e6).toFixed(1)} MB, at most ${(peakBytes / 1e6).toFixed(1)} MB\n`,
      );
      if (pods === COUNTS.at(-1)) quiet = await leftAlone(stage, mic);
      await mic.end();
    }
    if (plots !== undefined) writeFileSync(join(plots, "mic-memory.svg"), plotOf(points));
    const [least, most] = [points[0], points.at(-1)];
    if (least === undefined || most === undefined || quiet === undefined) throw new Error("nothing was measured");
    const perMinute = 60 / QUIET_S;
    return [
      figure("mic-bytes-per-pod", "bytes", (most.residentBytes - least.residentBytes) / (most.pods - least.pods), {
        baseline: JSON.stringify(cluster.pod(1)).length + JSON.stringify(cluster.assigned(1)).length,
        against: "a pod and its AzureAssignedIdentity as JSON",
      }),
      ...points.flatMap(({ pods, seconds, residentBytes, peakBytes }) => [
        figure(`mic-memory-${pods}`, "bytes", residentBytes, {
          baseline: least.residentBytes,
          against: `with ${least.pods} pods`,
        }),
        figure(`mic-memory-${pods}-peak`, "bytes", peakBytes, { baseline: residentBytes, against: "when settled" }),
        figure(`mic-start-${pods}`, "s", seconds, { baseline: least.seconds, against: `with ${least.pods} pods` }),
      ]),
      figure("mic-quiet", "s/min", quiet.cpuSeconds * perMinute, { baseline: 60, against: "one core" }),
      figure("mic-quiet-arm-writes", "requests", quiet.writes, { limit: { of: "value", most: 0 } }),
      figure("mic-quiet-arm-reads", "requests", quiet.reads, {
        baseline: QUIET_S / RECONCILE_S,
        against: "one list per resource group and interval",
      }),
      figure("mic-quiet-kube-requests", "requests", quiet.kubeRequests * perMinute),
    ];
  } finally {
    await server.close();
    await stage.close();
  }
}

async function leftAlone(stage: MicStage, mic: ShippedProcess): Promise<Quiet> {
  const cpu = mic.cpuSeconds;
  const arm = stage.armRequests().length;
  const kube = stage.kubeRequests().length;
  await pause(QUIET_S * 1000);
  const requests = stage.armRequests().slice(arm);
  const reads = requests.filter(({ method }) => READS.has(method)).length;
  return {
    cpuSeconds: mic.cpuSeconds - cpu,
    reads,
    writes: requests.length - reads,
    kubeRequests: stage.kubeRequests().length - kube,
  };
}

/** Waits for the end of what a start does once: every identity and binding gets its status. */
async function untilQuiet(stage: MicStage): Promise<void> {
  const writes = (): number =>
    stage.kubeRequests().filter(({ verb, resource }) => WRITES.has(verb) && resource !== "leases").length;
  let before = -1;
  for (let now = writes(); now !== before; now = writes()) {
    before = now;
    await pause(SETTLE_MS);
  }
}

function plotOf(points: readonly Point[]): string {
  const megabytes = (of: (point: Point) => number): [number, number][] =>
    points.map((point) => [point.pods, of(point) / 1e6]);
  return linePlot({
    title: "Memory of a leading MIC by pods with an identity",
    x: "pods",
    y: "MB",
    lines: [
      { name: "most while starting", points: megabytes(({ peakBytes }) => peakBytes) },
      { name: "resident when settled", points: megabytes(({ residentBytes }) => residentBytes) },
    ],
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
