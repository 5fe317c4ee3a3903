import { READINESS_GATE } from "@podid/crd-types";
import { KubeError, ResourceClient, RESOURCES, WorkQueue } from "@podid/kube";
import type { Clock, KubeTransport } from "@podid/kube";
import type { PodRecord } from "@podid/matcher";
import type { Logger } from "@podid/service";
import { FENCED_MS } from "../fenced.ts";
import { pair } from "../assigned/pairing.ts";
import type { Bookkeeping, Standing } from "../groups/bookkeeping.ts";
import type { Scope, World } from "../world.ts";
import { gateVerdict, saysGate } from "./gate-verdict.ts";
import type { GateVerdict } from "./gate-verdict.ts";

export interface PodGatesOptions {
  readonly world: World;
  readonly transport: KubeTransport;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly forceNamespaced: boolean;
  readonly fenced: () => string | undefined;
  readonly dryRun: boolean;
}

const NOT_LABELLED: GateVerdict = {
  status: "False",
  reason: "NotLabelled",
  message: "the pod has no label aadpodidbinding any more",
};

/** Writes the condition behind the readiness gate `podid.dev/identity-assigned` of the pods that declare it. */
export class PodGates {
  readonly #o: PodGatesOptions;
  readonly #client: ResourceClient;
  readonly #queue: WorkQueue;
  /** By pod UID and assignment: why it failed last. */
  readonly #failures = new Map<string, ReadonlyMap<string, Standing>>();
  /** Pods that lost their label, to be told so once. */
  readonly #unlabelled = new Map<string, PodRecord>();
  readonly #unsubscribes: (() => void)[] = [];
  #refused = false;

  constructor(options: PodGatesOptions) {
    this.#o = options;
    const { transport, clock, random, log } = options;
    this.#client = new ResourceClient(transport, RESOURCES.pods);
    this.#queue = new WorkQueue({
      concurrency: 20,
      handler: (uid) => this.#keep(uid),
      clock,
      random,
      onError: (pod, error, retryInMs) =>
        log.debug({ pod, retryInMs, error: String(error) }, "readiness gate not written"),
    });
  }

  start(): void {
    const { world } = this.#o;
    this.#unsubscribes.push(
      world.onGated((pod, gone) => this.#heard(pod, gone)),
      world.onUnserved((uid) => {
        if (uid === undefined) this.lookAtAll();
      }),
    );
    this.#queue.start();
    this.lookAtAll();
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribes.splice(0)) unsubscribe();
    await this.#queue.stop({ graceMs: 2000 });
  }

  lookAtAll(): void {
    for (const { uid } of this.#o.world.gatedPods) this.#queue.add(uid);
  }

  /** What bookkeeping found in one scope. */
  saw(scope: Scope, { standings }: Pick<Bookkeeping, "standings">): void {
    const gated = this.#o.world.gatedPodsIn(scope);
    if (gated.length === 0) return;
    const failed = Map.groupBy(
      standings.filter(({ state }) => state === "failed"),
      ({ assignment }) => assignment.pod.uid,
    );
    for (const { uid } of gated) {
      const failures = failed.get(uid);
      if (failures === undefined) this.#failures.delete(uid);
      else this.#failures.set(uid, new Map(failures.map((standing) => [standing.assignment.key, standing])));
      this.#queue.add(uid);
    }
  }

  #heard(pod: PodRecord, gone: boolean): void {
    if (!gone) {
      this.#unlabelled.delete(pod.uid);
      this.#queue.add(pod.uid);
      return;
    }
    this.#failures.delete(pod.uid);
    // A pod that goes away was mostly seen going; one that only lost its label was not.
    if (pod.deleting || pod.identityGate?.status !== "True") return;
    this.#unlabelled.set(pod.uid, pod);
    this.#queue.add(pod.uid);
  }

  async #keep(uid: string): Promise<{ readonly requeueAfterMs: number } | undefined> {
    const { world, dryRun, fenced } = this.#o;
    if (fenced() !== undefined) return { requeueAfterMs: FENCED_MS };
    const pod = world.gatedPod(uid) ?? this.#unlabelled.get(uid);
    if (pod?.identityGate === undefined || pod.deleting || dryRun || this.#refused) return undefined;
    const verdict = this.#unlabelled.has(uid) ? NOT_LABELLED : this.#verdict(uid);
    this.#unlabelled.delete(uid);
    if (verdict === undefined || saysGate(pod.identityGate, verdict)) return undefined;
    await this.#write(pod, verdict);
    return undefined;
  }

  #verdict(uid: string): GateVerdict | undefined {
    const { world, forceNamespaced } = this.#o;
    const assignments = world.matcher.assignmentsOf(uid);
    if (assignments.length === 0) return gateVerdict([], world.matcher.explain(uid).denial);
    const [first] = assignments;
    const records = world.assigned
      .onNode(first?.pod.nodeName ?? "")
      .filter(({ podName, podNamespace }) => podName === first?.pod.name && podNamespace === first.pod.namespace);
    const { pairs } = pair(assignments, records, forceNamespaced);
    const assigned = new Set(
      pairs
        .filter(({ record }) => record.status === "Assigned" && !record.deleting)
        .map(({ assignment }) => assignment.key),
    );
    const failures = this.#failures.get(uid);
    return gateVerdict(
      assignments.map(({ key }) => failures?.get(key) ?? { state: assigned.has(key) ? "assigned" : "pending" }),
      undefined,
    );
  }

  async #write({ namespace, name, uid, identityGate }: PodRecord, verdict: GateVerdict): Promise<void> {
    const { clock, log } = this.#o;
    const at = `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
    const condition = {
      type: READINESS_GATE,
      ...verdict,
      // Kept by the merge where the status stays as it was.
      ...(identityGate?.status !== verdict.status && { lastTransitionTime: at }),
    };
    try {
      // A strategic merge: kubelet's own conditions stay as they are, whoever wrote last.
      await this.#client.patch(name, namespace, {
        type: "strategic",
        subresource: "status",
        body: { metadata: { uid }, status: { conditions: [condition] } },
      });
    } catch (error) {
      // It is gone, or another one by now.
      if (KubeError.is(error, 404, 409, 422)) return;
      if (!KubeError.is(error, 403)) throw error;
      this.#refused = true;
      log.warn({ error: String(error) }, "may not write conditions of pods; grant patch on pods/status");
    }
  }
}
