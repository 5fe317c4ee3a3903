import { API_VERSION } from "@podid/crd-types";
import { AssignedWatch } from "./assigned-watch.ts";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";
import { inParallel } from "./in-parallel.ts";
import { identityId, MicStage, scaleSetId } from "./mic-stage.ts";
import { medianOf } from "./timing.ts";

const PODS = Number(process.env["PODID_BENCH_CONVERGE_PODS"] ?? 1000);
const IDENTITIES = 10;
const SCALE_SETS = 10;
/** From the first pod to the last. */
const CREATE_MS = 4_000;
const PATCH_MS = 5_000;
const HANG_MS = 60_000;
const TIMEOUT_MS = 120_000;
const WRITES: ReadonlySet<string> = new Set(["create", "update", "patch", "delete"]);
const SICK = 0;

interface Run {
  /** Per pod, in the order of creation. */
  readonly pods: readonly { readonly scaleSet: number; readonly createdAt: number; readonly assignedAt: number }[];
  readonly lastCreatedAt: number;
  readonly patches: readonly number[];
  readonly creationMs: number;
  /** Writes of MIC to the API server, by what they were. */
  readonly writes: ReadonlyMap<string, number>;
}

/**
 * Pods with ten identities, created evenly within four seconds over ten scale sets whose PATCHes ARM takes five seconds to carry
 * out: once with all scale sets well, once with one whose PATCH hangs for a minute. MIC leads and waits when the first pod comes.
 */
export async function convergeFigures(): Promise<readonly Figure[]> {
  const well = await run(undefined);
  const sick = await run(SICK);
  const others = (found: Run): number => lastAssigned(found, (scaleSet) => scaleSet !== SICK);
  const latency = (found: Run): number =>
    medianOf(
      found.pods
        .filter(({ scaleSet }) => scaleSet !== SICK)
        .map(({ createdAt, assignedAt }) => (assignedAt - createdAt) / 1000),
    );
  const against = "the run without a sick scale set";
  const total = [...well.writes.values()].reduce((sum, count) => sum + count, 0);
  return [
    figure(
      "mic-converge-1000",
      "s",
      lastAssigned(well, () => true),
      {
        baseline: PATCH_MS / 1000,
        against: "one PATCH",
        limit: { of: "value", most: (2 * PATCH_MS) / 1000 + 3 },
      },
    ),
    figure("mic-converge-1000-creation", "s", well.creationMs / 1000, {
      baseline: CREATE_MS / 1000,
      against: "what was meant",
    }),
    figure("mic-converge-1000-patches", "requests", Math.max(...well.patches), {
      baseline: 1,
      against: "one per scale set",
      limit: { of: "value", most: 2 },
    }),
    figure("mic-converge-1000-writes", "writes", total / PODS, {
      baseline: 2,
      against: "create and Assigned, per AzureAssignedIdentity",
    }),
    ...[...well.writes].map(([name, count]) => figure(`mic-converge-1000-${name}`, "writes", count / PODS)),
    figure("mic-sick-scale-set", "s", others(sick), {
      baseline: others(well),
      against,
      limit: { of: "ratio", most: 1.1 },
    }),
    figure("mic-sick-scale-set-p50", "s", latency(sick), { baseline: latency(well), against }),
  ];
}

/** Seconds from the last creation until all pods of these scale sets were Assigned. */
function lastAssigned({ pods, lastCreatedAt }: Run, which: (scaleSet: number) => boolean): number {
  const times = pods.filter(({ scaleSet }) => which(scaleSet)).map(({ assignedAt }) => assignedAt);
  return (Math.max(...times) - lastCreatedAt) / 1000;
}

async function run(sick: number | undefined): Promise<Run> {
  const names = Array.from({ length: IDENTITIES }, (_, at) => `identity-${at}`);
  const sets = Array.from({ length: SCALE_SETS }, (_, at) => scaleSetId(`aks-pool${at}-vmss`));
  const stage = await MicStage.start({
    userAssignedIdentities: names.map((name, at) => ({ id: identityId(name), clientId: clientId(at) })),
    scaleSets: sets.map((id) => ({ id, instances: 1 })),
  });
  try {
    stage.azure.state.faults.add({ match: { service: "arm", method: "PATCH" }, operationMs: PATCH_MS });
    if (sick !== undefined)
      stage.azure.state.faults.add({
        match: { service: "arm", method: "PATCH", resource: sets[sick] ?? "" },
        delayMs: HANG_MS,
      });
    await inParallel(SCALE_SETS, 10, async (at) => {
      await stage
        .of("nodes")
        .create({ metadata: { name: nodeName(at) }, spec: { providerID: `azure://${sets[at]}/virtualMachines/0` } });
    });
    for (const [at, name] of names.entries()) {
      const metadata = { name, namespace: "default" };
      await stage.of("azureIdentities").create({
        apiVersion: API_VERSION,
        kind: "AzureIdentity",
        metadata,
        spec: { type: 0, resourceID: identityId(name), clientID: clientId(at) },
      });
      await stage.of("azureIdentityBindings").create({
        apiVersion: API_VERSION,
        kind: "AzureIdentityBinding",
        metadata,
        spec: { azureIdentity: name, selector: name },
      });
    }
    const watch = new AssignedWatch(stage.transport);
    await watch.ready();
    const mic = stage.mic();
    await mic.active();
    const before = stage.kubeRequests().length;
    const cpu = { mic: mic.cpuSeconds, emulators: process.cpuUsage() };
    const { createdAt, creationMs } = await createPods(stage);
    const { user, system } = process.cpuUsage(cpu.emulators);
    process.stderr.write(
      `converge: created in ${(creationMs / 1000).toFixed(1)} s; processor time meanwhile: emulators ${((user + system) / 1e6).toFixed(1)} s, MIC ${(mic.cpuSeconds - cpu.mic).toFixed(1)} s\n`,
    );
    const scaleSets = createdAt.map((_, at) => at % SCALE_SETS);
    const healthy = scaleSets.filter((scaleSet) => scaleSet !== sick).length;
    await watch.until(healthy, TIMEOUT_MS);
    await watch.stop();
    return {
      pods: createdAt.flatMap((at, pod) => {
        const assignedAt = watch.since.get(podName(pod));
        return assignedAt === undefined ? [] : [{ scaleSet: pod % SCALE_SETS, createdAt: at, assignedAt }];
      }),
      lastCreatedAt: Math.max(...createdAt),
      creationMs,
      patches: sets.map(
        (id) =>
          stage
            .armRequests()
            .filter(({ method, path }) => method === "PATCH" && path.toLowerCase().startsWith(id.toLowerCase())).length,
      ),
      writes: writesOf(stage.kubeRequests().slice(before)),
    };
  } finally {
    await stage.close();
  }
}

/** Evenly over the time; identity after identity, so that new ones go on appearing on every scale set. */
async function createPods(stage: MicStage): Promise<{ readonly createdAt: number[]; readonly creationMs: number }> {
  const createdAt: number[] = [];
  const started = performance.now();
  await inParallel(PODS, 32, async (at) => {
    const due = started + (at * CREATE_MS) / PODS;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    await stage.of("pods").create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: podName(at),
        namespace: "default",
        labels: { aadpodidbinding: `identity-${Math.floor((at * IDENTITIES) / PODS)}` },
      },
      spec: { nodeName: nodeName(at % SCALE_SETS), containers: [{ name: "main", image: "registry.example/app:1" }] },
    });
    createdAt[at] = performance.now();
  });
  return { createdAt, creationMs: performance.now() - started };
}

function writesOf(requests: readonly { readonly verb: string; readonly resource: string }[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { verb, resource } of requests) {
    if (!WRITES.has(verb)) continue;
    const name = `${verb}-${resource}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return new Map([...counts].sort(([, a], [, b]) => b - a));
}

function podName(at: number): string {
  return `pod-${at}`;
}

function nodeName(scaleSet: number): string {
  return `aks-pool${scaleSet}-vmss000000`;
}

function clientId(at: number): string {
  return `00000000-0000-4000-8000-${String(at).padStart(12, "0")}`;
}
