import { Cluster } from "@podid/e2e/cluster";
import { API_SERVER } from "@podid/e2e/api-server";
import { until } from "@podid/e2e/until";
import { AssignedWatch } from "./assigned-watch.ts";
import { Crowd } from "./crowd.ts";
import type { CrowdSize } from "./crowd.ts";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";
import { processMemory } from "./process-memory.ts";
import type { Memory } from "./process-memory.ts";
import { readObjects } from "./objects-read.ts";
import { medianOf } from "./timing.ts";
import { WatchTraffic } from "./watch-traffic.ts";
import type { WatchRequest } from "./watch-traffic.ts";

const SIZE: CrowdSize = { scaleSets: 50, instances: 10, podsPerNode: 10, identities: 100 };
const MIC_USER = "system:serviceaccount:kube-system:podid-mic";
const NMI_USER = "system:serviceaccount:kube-system:podid-nmi";
const MIC_REPLICAS = ["mic-0", "mic-1"];
const REAL_PODS = 5;
const LATER_PODS = 10;
const CONVERGE_TIMEOUT_MS = 600_000;
const SETTLE_MS = 5_000;
const UNSELECTED = "the same watches without their selectors";

const LISTED: ReadonlySet<string> = new Set([
  "pods",
  "nodes",
  "configmaps",
  "azureidentities",
  "azureidentitybindings",
  "azureassignedidentities",
  "azurepodidentityexceptions",
]);

/** MIC and one NMI, as shipped, with a cluster that is large to the API server: most nodes and pods are objects alone. */
export async function scaleFigures(): Promise<readonly Figure[]> {
  process.stderr.write(
    API_SERVER === "real"
      ? "scale: on kube-apiserver and etcd of KUBEBUILDER_ASSETS\n"
      : "scale: on the emulator, because KUBEBUILDER_ASSETS is not set: requests and lists are left out\n",
  );
  const cluster = await Cluster.start();
  try {
    return await measure(cluster, new Crowd(cluster, SIZE));
  } finally {
    await cluster.stop();
  }
}

async function measure(cluster: Cluster, crowd: Crowd): Promise<Figure[]> {
  const nmi = `nmi-${cluster.vm}`;
  const everyone = [...MIC_REPLICAS, nmi];
  const idle = await memories(cluster, everyone);

  const [node = ""] = crowd.nodes;
  const watches = await watchesOf(cluster, cluster.vm);
  const own = await WatchTraffic.open(
    cluster.transport,
    watches.map((watch) => withNode(watch, cluster.vm, node)),
  );
  const all = await WatchTraffic.open(cluster.transport, watches.map(withoutSelectors));

  await crowd.seedAzure();
  await crowd.createIdentities();
  for (let at = 0; at < REAL_PODS; at++)
    await cluster.pod(`real-${at}`, { node: cluster.vm, selector: crowd.selector(at) });
  const creation = performance.now();
  await crowd.createPods();
  const created = performance.now() - creation;

  const assigned = new AssignedWatch(cluster.transport);
  await assigned.ready();
  const start = Date.now();
  await crowd.createBindings();
  await assigned.until(crowd.pods + REAL_PODS, CONVERGE_TIMEOUT_MS);
  const end = Date.now();
  await pause(SETTLE_MS);
  own.stop();
  all.stop();
  const full = await memories(cluster, everyone);
  const requests = API_SERVER === "real" ? await requestsOfMic(cluster, start, end, crowd.pods) : [];

  const { status } = await cluster.token("real-0");
  if (status !== 200) throw new Error(`a token request of a real pod was answered with ${status}`);
  const later: number[] = [];
  for (let at = 0; at < LATER_PODS; at++) {
    const before = performance.now();
    await crowd.createPod(crowd.pods + at);
    await assigned.until(crowd.pods + REAL_PODS + at + 1, CONVERGE_TIMEOUT_MS);
    later.push(performance.now() - before);
  }
  const lists = API_SERVER === "real" ? await listsAtStart(cluster, nmi) : [];
  await assigned.stop();

  const took = end - start;
  return [
    figure("scale-converge", "s", took / 1000, { baseline: created / 1000, against: "creating the pods" }),
    figure("scale-converge-per-pod", "ms", took / crowd.pods, {
      baseline: created / crowd.pods,
      against: "creating a pod",
    }),
    figure("scale-one-more-pod", "ms", medianOf(later)),
    ...requests,
    figure("scale-nmi-watch-events", "events", own.events, { baseline: all.events, against: UNSELECTED }),
    figure("scale-nmi-watch-bytes", "bytes", own.bytes, { baseline: all.bytes, against: UNSELECTED }),
    ...everyone.flatMap((name) => {
      const label = name === nmi ? "nmi" : name;
      const before = of(idle, name);
      const after = of(full, name);
      const against = "before the crowd came";
      return [
        figure(`scale-${label}-memory`, "bytes", after.residentBytes, { baseline: before.residentBytes, against }),
        figure(`scale-${label}-memory-anonymous`, "bytes", after.anonymousBytes, {
          baseline: before.anonymousBytes,
          against,
        }),
      ];
    }),
    ...lists,
  ];
}

/** The watches with which the NMI of a node began, each once. */
async function watchesOf(cluster: Cluster, node: string): Promise<WatchRequest[]> {
  const peer = cluster.sandbox.state.nodes.find(({ name }) => name === node)?.address ?? "";
  const requests = await cluster.control.kubeRequests({ user: NMI_USER, verb: "watch", peer });
  const began = requests.filter(({ query }) => query["sendInitialEvents"] === "true");
  return [
    ...new Map(
      began.map(({ path, query: { timeoutSeconds: _timeout, ...query } }) => [
        JSON.stringify([path, query]),
        { path, query },
      ]),
    ).values(),
  ];
}

function withNode({ path, query }: WatchRequest, from: string, to: string): WatchRequest {
  return {
    path,
    query: Object.fromEntries(Object.entries(query).map(([name, value]) => [name, value.replace(from, to)])),
  };
}

/** What an NMI would receive that asked for everything, as aad-pod-identity's does for assigned identities by default. */
function withoutSelectors({
  path,
  query: { fieldSelector = "", labelSelector: _selector, ...query },
}: WatchRequest): WatchRequest {
  const keep = fieldSelector.startsWith("metadata.name=") ? { fieldSelector } : {};
  return { path, query: { ...query, ...keep } };
}

/** Requests per pod, by verb and resource, from the audit log. */
async function requestsOfMic(cluster: Cluster, start: number, end: number, pods: number): Promise<Figure[]> {
  const requests = await cluster.control.kubeRequests({ user: MIC_USER });
  const counted = new Map<string, number>();
  let total = 0;
  for (const { time, verb, resource, subresource } of requests) {
    if (time < start || time > end) continue;
    const name = `scale-mic-${verb}-${[resource, subresource].filter(Boolean).join("-")}`;
    counted.set(name, (counted.get(name) ?? 0) + 1);
    total += 1;
  }
  return [
    figure("scale-mic-requests", "requests", total / pods),
    ...[...counted].sort(([, a], [, b]) => b - a).map(([name, count]) => figure(name, "requests", count / pods)),
  ];
}

/** Who answers the lists of an NMI and of a MIC that start while everything is there: its memory or etcd. */
async function listsAtStart(cluster: Cluster, nmi: string): Promise<Figure[]> {
  const { kubeconfig } = cluster.sandbox.state;
  const figures: Figure[] = [];
  const leader = await cluster.leader();
  const standby = MIC_REPLICAS.find((name) => name !== leader) ?? "";
  for (const [label, name, user] of [
    ["nmi", nmi, NMI_USER],
    ["mic", standby, MIC_USER],
  ] as const) {
    const before = await readObjects(kubeconfig, LISTED);
    const started = Date.now();
    const clock = performance.now();
    await cluster.control.process(name, "restart");
    const resources = new Set<string>();
    await until(`${name} watches everything again`, async () => {
      for (const { time, resource } of await cluster.control.kubeRequests({ user, verb: "watch" }))
        if (time >= started) resources.add(resource);
      return [...LISTED].every((resource) => resources.has(resource) || isUnused(label, resource));
    });
    figures.push(figure(`scale-${label}-restart`, "s", (performance.now() - clock) / 1000));
    await pause(SETTLE_MS);
    const after = await readObjects(kubeconfig, LISTED);
    figures.push(
      figure(`scale-${label}-objects-from-cache`, "objects", after.cache - before.cache),
      figure(`scale-${label}-objects-from-etcd`, "objects", after.etcd - before.etcd),
    );
  }
  return figures;
}

/** NMI has no use for nodes, MIC reads ConfigMaps one by one. */
function isUnused(app: "nmi" | "mic", resource: string): boolean {
  return resource === (app === "nmi" ? "nodes" : "configmaps");
}

async function memories(cluster: Cluster, names: readonly string[]): Promise<Map<string, Memory>> {
  return new Map(await Promise.all(names.map(async (name) => [name, await processMemory(cluster, name)] as const)));
}

function of(found: ReadonlyMap<string, Memory>, name: string): Memory {
  const memory = found.get(name);
  if (memory === undefined) throw new Error(`${name} was not measured`);
  return memory;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
