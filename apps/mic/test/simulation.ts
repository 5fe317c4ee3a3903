import { Assigner } from "@podid/azure-assigner";
import { MemoryArm, MemoryLedgerStore } from "@podid/azure-assigner/testing";
import { parseProviderId, specFingerprint } from "@podid/crd-types";
import type { AzureIdentitySpec, NodeGroup } from "@podid/crd-types";
import { KubeError } from "@podid/kube";
import type { KubeObject } from "@podid/kube";
import { FakeClock } from "@podid/kube/testing";
import { bindingRecord, identityRecord, podRecord } from "@podid/matcher";
import type { BindingRecord, IdentityRecord, PodRecord } from "@podid/matcher";
import { createLogger } from "@podid/service";
import { assignedRecord } from "../src/assigned/record.ts";
import { Announcer } from "../src/groups/announcer.ts";
import { Attacher } from "../src/groups/attacher.ts";
import { Bookkeeper } from "../src/groups/bookkeeper.ts";
import { nodeRecord } from "../src/groups/node-record.ts";
import type { NodeRecord } from "../src/groups/node-record.ts";
import { Observations } from "../src/groups/observation.ts";
import { Protection } from "../src/groups/protection.ts";
import { ObjectVerdicts } from "../src/status/object-verdicts.ts";
import { summarise } from "../src/status/scope-summary.ts";
import { Tally } from "../src/status/tally.ts";
import { World } from "../src/world.ts";
import { resourceId, vmssProviderId } from "./cluster.ts";

/** The process died at this step. */
export class Killed extends Error {}

class Ledgers extends MemoryLedgerStore {
  removeIdle(): Promise<void> {
    return Promise.resolve();
  }

  ownsAnything(groupKey: string): boolean {
    return Object.keys(this.ledgers.get(groupKey)?.ledger.entries ?? {}).length > 0;
  }
}

/** One scale set with two nodes, its API objects and ARM, without network and time: only the controller's own logic, which can be killed at any write. */
export class Simulation {
  readonly arm = new MemoryArm();
  readonly ledgers = new Ledgers();
  readonly objects = new Map<string, KubeObject>();
  readonly clock = new FakeClock();
  readonly group: NodeGroup;
  readonly nodes = ["node-0", "node-1"] as const;
  /** Writes left until the process dies; undefined: it lives. */
  lifetime: number | undefined;
  /** After so many writes of a run the Lease is in doubt; it is renewed before anything is tried again. */
  fencedAfter: number | undefined;
  writes = 0;
  #revision = 0;
  #world = new World({ forceNamespaced: false });
  #pods = new Map<string, PodRecord>();
  #identities = new Map<string, IdentityRecord>();
  #bindings = new Map<string, BindingRecord>();
  #goneNodes = new Set<string>();
  readonly #preAssigned = new Set<string>();
  #otherNodes: NodeRecord[] = [];
  readonly #odd: [{ delete(key: string): boolean }, string][] = [];
  #tally = new Tally();
  readonly #protection: Protection;

  constructor(protectedIds: readonly string[] = []) {
    this.#protection = new Protection(protectedIds, (key) => this.#world.definitions.ofResource(key));
    const parsed = parseProviderId(vmssProviderId("vmss", 0));
    if (!parsed.ok) throw new Error("fixture");
    this.group = parsed.value.group;
    this.arm.beforePatch = () => this.#step();
    this.ledgers.beforeSave = () => this.#step();
    this.#restartWorld();
  }

  pod(name: string, node: 0 | 1, selector: string, uid = `uid-${name}`): void {
    const pod: PodRecord = {
      uid,
      namespace: "default",
      name,
      nodeName: this.nodes[node],
      labels: { aadpodidbinding: selector },
      phase: "Running",
      hostNetwork: false,
      deleting: false,
      createdAt: this.clock.now(),
      serviceAccountName: "default",
      podIPs: [],
    };
    const before = [...this.#pods.values()].find((other) => other.name === name);
    if (before !== undefined) this.#pods.delete(before.uid);
    this.#pods.set(uid, pod);
    this.#world.upsertPod(pod, before);
  }

  deletePod(name: string): void {
    const pod = [...this.#pods.values()].find((other) => other.name === name);
    if (pod === undefined) return;
    this.#pods.delete(pod.uid);
    this.#world.deletePod(pod);
  }

  /** An identity and its binding, both under that name; `resource` tells which identity in Azure. */
  identity(name: string, resource: string): void {
    const spec: AzureIdentitySpec = { type: 0, clientID: `client-${resource}`, resourceID: resourceId(resource) };
    const meta = { uid: `uid-${name}`, namespace: "default", name, resourceVersion: String((this.#revision += 1)) };
    const identity: IdentityRecord = {
      ...meta,
      namespaced: false,
      keep: false,
      spec,
      fingerprint: specFingerprint(spec),
      resourceKey: resourceId(resource).toLowerCase(),
      problem: undefined,
    };
    const preAssign = this.#preAssigned.has(name) ? { preAssign: ["*"] } : {};
    const binding: BindingRecord = { ...meta, azureIdentity: name, selector: name, weight: 0, ...preAssign };
    this.#identities.set(name, identity);
    this.#bindings.set(name, binding);
    this.#world.upsertIdentity(identity);
    this.#world.upsertBinding(binding);
  }

  /** Whether the binding of that name, if there is one, holds its identity before any pod needs it. */
  preAssign(name: string, on: boolean): void {
    if (on) this.#preAssigned.add(name);
    else this.#preAssigned.delete(name);
    const binding = this.#bindings.get(name);
    if (binding === undefined) return;
    const { preAssign: _before, ...plain } = binding;
    const after = on ? { ...plain, preAssign: ["*"] } : plain;
    this.#bindings.set(name, after);
    this.#world.upsertBinding(after);
  }

  /** Objects as the API server may hold them, however odd. */
  raw(kind: "identity" | "binding" | "pod" | "node", object: object): void {
    const identity = kind === "identity" ? identityRecord(object) : undefined;
    const binding = kind === "binding" ? bindingRecord(object) : undefined;
    const pod = kind === "pod" ? podRecord(object) : undefined;
    const node = kind === "node" ? nodeRecord(object) : undefined;
    const add = <T>(records: Map<string, T>, key: string, record: T): void => {
      records.set(key, record);
      this.#odd.push([records, key]);
    };
    if (identity !== undefined) add(this.#identities, `${identity.namespace}/${identity.name}`, identity);
    if (binding !== undefined) add(this.#bindings, `${binding.namespace}/${binding.name}`, binding);
    if (pod !== undefined) add(this.#pods, pod.uid, pod);
    if (node !== undefined) this.#otherNodes.push(node);
  }

  /** Takes away all that {@link raw} gave. */
  forgetOddities(): void {
    for (const [records, key] of this.#odd.splice(0)) records.delete(key);
    this.#otherNodes = [];
  }

  /** `status reason` of the condition Ready, by kind and name. */
  get verdicts(): Record<string, string> {
    const verdicts = new ObjectVerdicts({
      world: this.#world,
      tally: this.#tally,
      protection: this.#protection,
      issuer: () => undefined,
    });
    return Object.fromEntries(
      [...this.#world.definitions.keys()].map(([kind, key]) => {
        const ready = verdicts.of(kind, key)?.verdicts[0];
        return [`${kind} ${key}`, `${ready?.status} ${ready?.reason}`];
      }),
    );
  }

  deleteBinding(name: string): void {
    const binding = this.#bindings.get(name);
    if (binding === undefined) return;
    this.#bindings.delete(name);
    this.#world.deleteBinding(binding);
  }

  deleteNode(node: 0 | 1): void {
    const name = this.nodes[node];
    this.#goneNodes.add(name);
    this.#world.deleteNode({ name, group: this.group, problem: undefined });
    for (const pod of this.#pods.values()) if (pod.nodeName === name) this.deletePod(pod.name);
  }

  /** As `kubectl delete` does. */
  deleteObject(key: string): void {
    const object = this.objects.get(key);
    if (object !== undefined)
      this.#store({ ...object, metadata: { ...object.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
  }

  get statuses(): Record<string, string> {
    return Object.fromEntries(
      [...this.objects.values()].map((object) => [
        object.metadata.name,
        (object["status"] as { status?: string } | undefined)?.status ?? "",
      ]),
    );
  }

  /** Names of the identities that the scale set holds. */
  get held(): string[] {
    return [...this.arm.machine(this.group).identities.keys()].map((key) => key.slice(key.lastIndexOf("/") + 1)).sort();
  }

  /** Names of the identities that the objects speak of, and of those that are held before pods need them. */
  get needed(): string[] {
    const keys = [
      ...[...this.objects.values()].map((object) => assignedRecord(object)?.resourceKey ?? ""),
      ...this.#world.reservationsIn(this.#world.scope(this.group.key)).map(({ ref }) => ref.key),
    ];
    return [...new Set(keys.map((key) => key.slice(key.lastIndexOf("/") + 1)))].sort();
  }

  /** Runs a controller that knows only what is stored until nothing is left to do or it is killed. @returns rounds */
  async run(): Promise<number> {
    this.#restartWorld();
    this.#tally = new Tally();
    const world = this.#world;
    const books = new Set(world.busyScopes());
    const arms = new Set<string>([this.group.key]);
    world.knowGroup(this.group);
    const unsubscribe = world.onChange((key) => books.add(key));
    const observations = new Observations();
    const log = createLogger({ component: "mic", format: "text", write: () => {} });
    const common = {
      world,
      observations,
      protection: this.#protection,
      log,
      clock: this.clock,
      forceNamespaced: false,
      dryRun: false,
      fenced: () => (this.#fenced ? "in doubt" : undefined),
    };
    const bookkeeper = new Bookkeeper({
      ...common,
      client: this.#client(),
      announcer: new Announcer({ record: () => {} }, log),
      metrics: { time: (_kind, write) => write() },
      batch: 1,
      trustMs: 30_000,
      onNeedsArm: (key) => arms.add(key),
      recheck: undefined,
      onDoubt: () => {},
      onLook: (scope, found, observation) => void this.#tally.put(scope.key, summarise(found, observation)),
    });
    const attacher = new Attacher({
      ...common,
      assigner: new Assigner({ arm: this.arm, ledgers: this.ledgers, clock: this.clock }),
      ledgers: this.ledgers,
      adoptUpstream: "all",
      epoch: () => 1,
      onSeen: (key) => books.add(key),
    });
    const take = (keys: Set<string>): string | undefined => {
      const [key] = keys;
      if (key !== undefined) keys.delete(key);
      return key;
    };
    try {
      for (let round = 1; ; round += 1) {
        if (round > 200) throw new Error(`no end in sight: ${JSON.stringify(this.statuses)} ${this.held.join()}`);
        const book = take(books);
        if (book !== undefined) {
          if (await this.#cameBack(() => bookkeeper.keep(book))) books.add(book);
          continue;
        }
        const arm = take(arms);
        if (arm === undefined) return round;
        if (await this.#cameBack(() => attacher.attach(arm, new AbortController().signal))) arms.add(arm);
      }
    } finally {
      unsubscribe();
    }
  }

  get #fenced(): boolean {
    return this.fencedAfter !== undefined && this.fencedAfter <= 0;
  }

  /** Whether a queue would come back to it for the Lease's sake, which is renewed by then: after an error, or because it was asked to. */
  async #cameBack(work: () => Promise<unknown>): Promise<boolean> {
    const wasFenced = (): boolean => {
      const fenced = this.#fenced;
      if (fenced) this.fencedAfter = undefined;
      return fenced;
    };
    try {
      const asked = (await work()) !== undefined;
      return wasFenced() && asked;
    } catch (error) {
      if (error instanceof Killed || !wasFenced()) throw error;
      return true;
    }
  }

  #step(): void {
    if (this.fencedAfter !== undefined) this.fencedAfter -= 1;
    if (this.lifetime !== undefined && this.lifetime <= 0) throw new Killed(`killed before write ${this.writes}`);
    if (this.lifetime !== undefined) this.lifetime -= 1;
    this.writes += 1;
  }

  #restartWorld(): void {
    this.#world = new World({ forceNamespaced: false });
    for (const name of this.nodes) {
      if (!this.#goneNodes.has(name)) this.#world.upsertNode({ name, group: this.group, problem: undefined });
    }
    for (const node of this.#otherNodes) this.#world.upsertNode(node);
    for (const identity of this.#identities.values()) this.#world.upsertIdentity(identity);
    for (const binding of this.#bindings.values()) this.#world.upsertBinding(binding);
    for (const pod of this.#pods.values()) this.#world.upsertPod(pod);
    for (const object of this.objects.values()) this.#show(object);
  }

  #client(): ConstructorParameters<typeof Bookkeeper>[0]["client"] {
    return {
      create: async (object) => {
        this.#step();
        if (this.objects.has(`${object.metadata.namespace}/${object.metadata.name}`)) throw refusal(409);
        const uid = `object-${this.#revision}`;
        const creationTimestamp = new Date(this.clock.now()).toISOString();
        return this.#store({ ...object, metadata: { ...object.metadata, uid, creationTimestamp } });
      },
      patch: async (name, namespace, { type, body }) => {
        this.#step();
        const object = this.#existing(`${namespace}/${name}`);
        const patched = type === "json" ? jsonPatched(object, body as Operation[]) : mergePatched(object, body);
        const { uid, resourceVersion } = patched.metadata;
        if (uid !== object.metadata.uid || resourceVersion !== object.metadata.resourceVersion) throw refusal(409);
        return this.#store(patched);
      },
      delete: async (name, namespace, options) => {
        this.#step();
        const object = this.#existing(`${namespace}/${name}`);
        if (options?.uid !== undefined && options.uid !== object.metadata.uid) throw refusal(409);
        return this.#store({ ...object, metadata: { ...object.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
      },
    };
  }

  #existing(key: string): KubeObject {
    const object = this.objects.get(key);
    if (object === undefined) throw refusal(404);
    return object;
  }

  #store(object: KubeObject): KubeObject {
    this.#revision += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#revision) } };
    const key = `${stored.metadata.namespace}/${stored.metadata.name}`;
    const isGone = stored.metadata.deletionTimestamp !== undefined && (stored.metadata.finalizers ?? []).length === 0;
    if (isGone) {
      this.objects.delete(key);
      const record = assignedRecord(stored);
      if (record !== undefined) queueMicrotask(() => this.#world.deleteAssigned(record));
    } else {
      this.objects.set(key, stored);
      queueMicrotask(() => this.#show(stored));
    }
    return stored;
  }

  #show(object: KubeObject): void {
    const record = assignedRecord(object);
    if (record !== undefined) this.#world.upsertAssigned(record);
  }
}

interface Operation {
  readonly op: "test" | "replace" | "add";
  readonly path: string;
  readonly value: unknown;
}

function jsonPatched(object: KubeObject, operations: readonly Operation[]): KubeObject {
  const copy = structuredClone(object);
  for (const { op, path, value } of operations) {
    const keys = path.split("/").slice(1);
    const last = keys.pop() ?? "";
    let parent: Record<string, unknown> = copy;
    for (const key of keys) parent = parent[key] as Record<string, unknown>;
    if (op === "test" && parent[last] !== value) throw refusal(422);
    parent[last.replaceAll("~1", "/").replaceAll("~0", "~")] = value;
  }
  return copy;
}

function mergePatched(object: KubeObject, body: unknown): KubeObject {
  const { metadata, ...rest } = body as KubeObject;
  return { ...object, ...rest, metadata: { ...object.metadata, ...metadata } };
}

function refusal(status: number): KubeError {
  return new KubeError(`refused with ${status}`, { status, reason: status === 404 ? "NotFound" : "Conflict" });
}
