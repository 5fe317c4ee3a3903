import type { ContainerState, Pod } from "./pod-objects.ts";

/** What the kubelet knows of a pod on its node. */
export interface PodFacts {
  readonly podIP: string;
  readonly hostIP: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly initContainers: readonly ContainerState[];
  readonly containers: readonly ContainerState[];
}

const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

/** The `status` of a pod that its node runs, conditions in kubelet's order; readiness gates count as in kubelet. */
export function podStatus(pod: Pod, facts: PodFacts): Record<string, unknown> {
  const { containers, initContainers } = facts;
  const policy = pod.spec.restartPolicy ?? "Always";
  const initialised = initContainers.every((container) => container.ended?.code === 0);
  const ready = initialised && containers.every((container) => container.running !== undefined);
  const phase = phaseOf(policy, initialised, facts);
  const gates = (pod.spec as { readinessGates?: { conditionType: string }[] }).readinessGates ?? [];
  const own = new Set(["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"]);
  const foreign = (pod.status?.conditions ?? []).filter((condition) => !own.has(condition.type));
  const gated = gates.every(({ conditionType }) =>
    foreign.some((c) => c.type === conditionType && c.status === "True"),
  );
  const condition = (type: string, holds: boolean): object => {
    const before = pod.status?.conditions?.find((c) => c.type === type);
    const status = holds ? "True" : "False";
    const since = before?.status === status ? before["lastTransitionTime"] : undefined;
    return { type, status, lastProbeTime: null, lastTransitionTime: since ?? time(Date.now()) };
  };
  return {
    phase,
    hostIP: facts.hostIP,
    hostIPs: [{ ip: facts.hostIP }],
    podIP: facts.podIP,
    podIPs: [{ ip: facts.podIP }],
    startTime: time(facts.startedAt),
    // A real API server has worked it out already, and lets nobody change it.
    qosClass: pod.status?.["qosClass"] ?? "BestEffort",
    conditions: [
      condition("PodReadyToStartContainers", true),
      condition("Initialized", initialised),
      condition("Ready", ready && gated),
      condition("ContainersReady", ready),
      condition("PodScheduled", true),
      ...foreign,
    ],
    ...(initContainers.length === 0
      ? {}
      : { initContainerStatuses: initContainers.map((c) => containerStatus(c, true)) }),
    containerStatuses: containers.map((c) => containerStatus(c, false)),
  };
}

function phaseOf(policy: string, initialised: boolean, facts: PodFacts): string {
  if (!initialised) {
    const failed = facts.initContainers.some(
      (c) => c.ended !== undefined && c.ended.code !== 0 && !c.backOff && c.running === undefined,
    );
    return failed && policy === "Never" ? "Failed" : "Pending";
  }
  const over = facts.containers.every((c) => c.ended !== undefined && c.running === undefined && !c.backOff);
  if (!over || facts.containers.length === 0) return "Running";
  return facts.containers.every((c) => c.ended?.code === 0) ? "Succeeded" : "Failed";
}

function containerStatus(container: ContainerState, init: boolean): object {
  const { name, image, restarts, running, ended, backOff } = container;
  const terminated = ended && {
    exitCode: ended.code,
    reason: ended.code === 0 ? "Completed" : "Error",
    startedAt: time(ended.startedAt),
    finishedAt: time(ended.at),
    containerID: `sandbox://${name}`,
  };
  const state = running
    ? { running: { startedAt: time(running.since) } }
    : backOff
      ? { waiting: { reason: "CrashLoopBackOff", message: "back-off restarting failed container" } }
      : terminated
        ? { terminated }
        : { waiting: { reason: init ? "PodInitializing" : "ContainerCreating" } };
  return {
    name,
    image,
    imageID: image,
    containerID: `sandbox://${name}`,
    ready: init ? ended?.code === 0 : running !== undefined,
    started: running !== undefined,
    restartCount: restarts,
    state,
    lastState: terminated && (running !== undefined || backOff) ? { terminated } : {},
  };
}
