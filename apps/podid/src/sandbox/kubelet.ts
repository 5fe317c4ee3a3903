import { join } from "node:path";
import { KubeError, Reflector, ResourceClient, RESOURCES, WorkQueue, type KubeTransport } from "@podid/kube";
import { AddressPool } from "./address-pool.ts";
import type { LogBuffer } from "./log-buffer.ts";
import { registerNode } from "./node-registration.ts";
import type { Pod } from "./pod-objects.ts";
import { PodRuntime, type PodEntrance } from "./pod-runtime.ts";
import { chooseNode } from "./scheduler.ts";
import type { NodePlan } from "./topology.ts";

export interface KubeletOptions {
  readonly transport: KubeTransport;
  readonly nodes: readonly NodePlan[];
  /** For files of pods. */
  readonly directory: string;
  /** Bundles by image name. */
  readonly images: Readonly<Record<string, string>>;
  /** Environment of pods. */
  readonly env: NodeJS.ProcessEnv;
  /** Told in words what happens. */
  readonly say: (line: string) => void;
  /** Told when a pod came, went or changed. */
  readonly onPods: () => void;
}

/** One row of the sandbox's list of pods. */
export interface PodRow {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  readonly phase: string;
  readonly ip: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** Scheduler and kubelet of all nodes: makes what Pod objects say, and says in their status what it made. */
export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #pods: Reflector<Pod>;
  readonly #client: ResourceClient;
  readonly #queue: WorkQueue;
  readonly #runtimes = new Map<string, PodRuntime>();
  readonly #pools: ReadonlyMap<string, AddressPool>;

  constructor(options: KubeletOptions) {
    this.#options = options;
    const { transport } = options;
    this.#client = new ResourceClient(transport, RESOURCES.pods);
    this.#pools = new Map(options.nodes.map((node) => [node.name, new AddressPool(node.podPrefix)]));
    this.#pods = new Reflector<Pod>({
      transport,
      resource: RESOURCES.pods,
      // Pods bound to nodes that are objects alone are nobody's here, and may be many.
      project: (object) => {
        const { nodeName = "" } = (object as Pod).spec;
        return nodeName === "" || this.#pools.has(nodeName) ? (object as Pod) : undefined;
      },
    });
    this.#queue = new WorkQueue({
      concurrency: 32,
      handler: (key) => this.#reconcile(key),
      baseDelayMs: 50,
      maxDelayMs: 5_000,
      onError: (key, error, retryInMs) =>
        options.say(`pod ${key}: ${String(error)}; again in ${Math.round(retryInMs)} ms`),
    });
  }

  /** Registers the nodes and begins to run pods. */
  async start(): Promise<void> {
    await Promise.all(this.#options.nodes.map((node) => registerNode(this.#options.transport, node)));
    this.#pods.subscribe({
      upsert: (key) => {
        this.#queue.add(key);
        this.#options.onPods();
      },
      delete: (key) => {
        this.#queue.add(key);
        this.#options.onPods();
      },
    });
    this.#queue.start();
    this.#pods.start();
    await this.#pods.whenSynced();
  }

  async stop(): Promise<void> {
    await this.#pods.stop();
    await Promise.all([...this.#runtimes.values()].map((runtime) => runtime.stop(0)));
  }

  get rows(): PodRow[] {
    return [...this.#pods.items.values()].map((pod) => ({
      namespace: pod.metadata.namespace ?? "",
      name: pod.metadata.name,
      uid: pod.metadata.uid ?? "",
      node: pod.spec.nodeName ?? "",
      phase: pod.metadata.deletionTimestamp === undefined ? (pod.status?.phase ?? "Pending") : "Terminating",
      ip: pod.status?.podIP,
      labels: pod.metadata.labels ?? {},
    }));
  }

  /** The way into a running pod; undefined when there is none of that name here. */
  entrance(namespace: string, name: string): PodEntrance | undefined {
    return this.#byName(namespace, name)?.entrance;
  }

  log(namespace: string, name: string, container?: string): LogBuffer | undefined {
    const runtime = this.#byName(namespace, name);
    return runtime?.log(container ?? runtime.pod.spec.containers?.[0]?.name ?? "");
  }

  #byName(namespace: string, name: string): PodRuntime | undefined {
    const uid = this.#pods.items.get(`${namespace}/${name}`)?.metadata.uid;
    return uid === undefined ? undefined : this.#runtimes.get(uid);
  }

  async #reconcile(key: string): Promise<void> {
    const pod = this.#pods.items.get(key);
    await this.#removeStale(key, pod?.metadata.uid);
    if (pod === undefined) return;
    if (pod.spec.nodeName === undefined || pod.spec.nodeName === "") {
      if (pod.metadata.deletionTimestamp === undefined) await this.#schedule(pod);
      return;
    }
    const node = this.#options.nodes.find((candidate) => candidate.name === pod.spec.nodeName);
    if (node === undefined) return;
    const uid = pod.metadata.uid ?? "";
    if (pod.metadata.deletionTimestamp !== undefined) {
      await this.#terminate(pod, uid);
      return;
    }
    if (isFinal(pod.status?.phase)) return;
    const runtime = this.#runtimes.get(uid) ?? (await this.#run(pod, uid, node));
    await this.#publish(pod, runtime);
  }

  async #schedule(pod: Pod): Promise<void> {
    // Another scheduler's pods are its own to bind.
    if ((pod.spec.schedulerName ?? "default-scheduler") !== "default-scheduler") return;
    const counts = Map.groupBy(this.#pods.items.values(), (other) => other.spec.nodeName ?? "");
    const node = chooseNode(pod, this.#options.nodes, ({ name }) => counts.get(name)?.length ?? 0);
    const { name, namespace = "" } = pod.metadata;
    if (node === undefined) {
      this.#options.say(`pod ${namespace}/${name} fits no node: ${JSON.stringify(pod.spec.nodeSelector)}`);
      await this.#patchStatus(pod, {
        phase: "Pending",
        conditions: [
          {
            type: "PodScheduled",
            status: "False",
            reason: "Unschedulable",
            message: "no node has the labels of the pod's nodeSelector",
            lastProbeTime: null,
            lastTransitionTime: null,
          },
        ],
      });
      return;
    }
    const binding = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name, namespace },
      target: { apiVersion: "v1", kind: "Node", name: node.name },
    };
    await this.#options.transport
      .request({
        method: "POST",
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/binding`,
        body: binding,
      })
      .catch((error: unknown) => {
        // Bound or gone meanwhile: the watch will say so.
        if (!(error instanceof KubeError && [404, 409].includes(error.status))) throw error;
      });
  }

  async #run(pod: Pod, uid: string, node: NodePlan): Promise<PodRuntime> {
    const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
    const pool = this.#pools.get(node.name);
    const address = pod.spec.hostNetwork === true ? undefined : pool?.take();
    const directory = join(this.#options.directory, uid);
    const runtime = new PodRuntime({
      pod,
      node,
      address,
      directory,
      images: this.#options.images,
      // Each pod has its own, so that `az login` in one neither sees nor changes the user's or another pod's.
      env: { ...this.#options.env, AZURE_CONFIG_DIR: join(directory, "azure") },
      onChange: () => this.#queue.add(key),
    });
    try {
      await runtime.start();
    } catch (error) {
      await runtime.remove();
      if (address !== undefined) pool?.release(address);
      throw error;
    }
    this.#runtimes.set(uid, runtime);
    this.#options.say(`pod ${key} runs on ${node.name} as ${runtime.address}`);
    return runtime;
  }

  async #publish(pod: Pod, runtime: PodRuntime): Promise<void> {
    const status = runtime.status(pod);
    if (sameStatus(status, pod.status ?? {})) return;
    await this.#patchStatus(pod, status);
    // A pod that has finished keeps its logs and nothing else; its address may go to another one.
    if (isFinal(status["phase"])) await this.#free(runtime);
  }

  async #patchStatus(pod: Pod, status: object): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    await this.#client
      .patch(name, namespace, { type: "merge", subresource: "status", body: { metadata: { uid }, status } })
      .catch((error: unknown) => {
        // Another pod of that name has taken its place, or none.
        if (!(error instanceof KubeError && [404, 409].includes(error.status))) throw error;
      });
  }

  async #terminate(pod: Pod, uid: string): Promise<void> {
    const runtime = this.#runtimes.get(uid);
    const { name, namespace, deletionGracePeriodSeconds } = pod.metadata;
    if (runtime !== undefined) {
      await runtime.stop((deletionGracePeriodSeconds ?? 30) * 1000);
      await this.#publish(pod, runtime);
      await this.#remove(uid, runtime);
    }
    if (deletionGracePeriodSeconds === 0) return;
    await this.#client.delete(name, namespace, { gracePeriodSeconds: 0, uid }).catch((error: unknown) => {
      if (!(error instanceof KubeError && [404, 409].includes(error.status))) throw error;
    });
  }

  async #removeStale(key: string, uid: string | undefined): Promise<void> {
    for (const [other, runtime] of this.#runtimes) {
      const { name, namespace } = runtime.pod.metadata;
      if (`${namespace}/${name}` !== key || other === uid) continue;
      await runtime.stop(0);
      await this.#remove(other, runtime);
    }
  }

  async #remove(uid: string, runtime: PodRuntime): Promise<void> {
    await this.#free(runtime);
    this.#runtimes.delete(uid);
    this.#options.say(`pod ${runtime.pod.metadata.namespace}/${runtime.pod.metadata.name} left ${runtime.node.name}`);
  }

  async #free(runtime: PodRuntime): Promise<void> {
    await runtime.stop(0);
    if (!(await runtime.remove())) return;
    if (runtime.pod.spec.hostNetwork !== true) this.#pools.get(runtime.node.name)?.release(runtime.address);
  }
}

function isFinal(phase: unknown): boolean {
  return phase === "Succeeded" || phase === "Failed";
}

/** Whether every field of `wanted` is there already. */
function sameStatus(wanted: Record<string, unknown>, present: Record<string, unknown>): boolean {
  return Object.entries(wanted).every(
    ([field, value]) => JSON.stringify(sorted(value)) === JSON.stringify(sorted(present[field])),
  );
}

/** Object keys in order and nulls left out, as the server may keep them otherwise. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null && field !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => [name, sorted(field)]),
  );
}
