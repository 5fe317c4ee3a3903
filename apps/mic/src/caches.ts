import { bindingRecord, createPodProjector, exceptionRecord, identityRecord } from "@podid/matcher";
import type { ExceptionRecord, PodRecord } from "@podid/matcher";
import { Reflector, RESOURCES } from "@podid/kube";
import type { Clock, KubeTransport } from "@podid/kube";
import type { Logger } from "@podid/service";
import { BINDING_LABEL } from "@podid/crd-types";
import type { AssignedRecord } from "./assigned/record.ts";
import { nodeRecord } from "./groups/node-record.ts";
import type { NodeRecord } from "./groups/node-record.ts";
import type { DefinedBinding, DefinedIdentity } from "./definitions.ts";
import { withStatus } from "./status/written-status.ts";
import type { World } from "./world.ts";

export interface CachesOptions {
  readonly transport: KubeTransport;
  readonly world: World;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

interface Cache {
  start(): void;
  stop(): Promise<void>;
  readonly synced: boolean;
  readonly problem: string | undefined;
  whenSynced(signal?: AbortSignal): Promise<void>;
  staleForMs(): number;
}

/** The watches that feed the world. */
export class Caches {
  readonly #caches: Readonly<Record<string, Cache>>;

  constructor({ transport, world, log, clock, random }: CachesOptions) {
    const common = { transport, clock, random, log };
    const pods = new Reflector<PodRecord>({
      ...common,
      resource: RESOURCES.pods,
      labelSelector: BINDING_LABEL,
      project: createPodProjector({ labels: [BINDING_LABEL], podIPs: false, scheduledAt: true }),
    });
    const nodes = new Reflector<NodeRecord>({ ...common, resource: RESOURCES.nodes, project: nodeRecord });
    const identities = new Reflector<DefinedIdentity>({
      ...common,
      resource: RESOURCES.azureIdentities,
      project: withStatus(identityRecord),
    });
    const bindings = new Reflector<DefinedBinding>({
      ...common,
      resource: RESOURCES.azureIdentityBindings,
      project: withStatus(bindingRecord),
    });
    const assigned = new Reflector<AssignedRecord>({
      ...common,
      resource: RESOURCES.azureAssignedIdentities,
      project: world.assigned.read,
    });
    const exceptions = new Reflector<ExceptionRecord>({
      ...common,
      resource: RESOURCES.azurePodIdentityExceptions,
      project: exceptionRecord,
    });

    nodes.subscribe({ upsert: (_key, node) => world.upsertNode(node), delete: (_key, node) => world.deleteNode(node) });
    identities.subscribe({
      upsert: (_key, identity, previous) => {
        if (identity.problem !== undefined && identity.problem !== previous?.problem) {
          log.error({}, `ignoring azure identity ${identity.namespace}/${identity.name}, error: ${identity.problem}`);
        }
        world.upsertIdentity(identity);
      },
      delete: (_key, identity) => world.deleteIdentity(identity),
    });
    bindings.subscribe({
      upsert: (_key, binding) => world.upsertBinding(binding),
      delete: (_key, binding) => world.deleteBinding(binding),
    });
    exceptions.subscribe({
      upsert: (_key, exception) => world.upsertException(exception),
      delete: (_key, exception) => world.deleteException(exception),
    });
    assigned.subscribe({
      upsert: (_key, record) => world.upsertAssigned(record),
      delete: (_key, record) => world.deleteAssigned(record),
    });
    pods.subscribe({
      upsert: (_key, pod, previous) => world.upsertPod(pod, previous),
      delete: (_key, pod) => world.deletePod(pod),
    });
    this.#caches = { nodes, identities, bindings, exceptions, assigned, pods };
  }

  start(): void {
    for (const cache of Object.values(this.#caches)) cache.start();
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.#caches).map((cache) => cache.stop()));
  }

  async whenSynced(signal: AbortSignal): Promise<void> {
    await Promise.all(Object.values(this.#caches).map((cache) => cache.whenSynced(signal)));
  }

  /** Which caches have no complete set yet, with the reason. */
  get missing(): string | undefined {
    const missing = Object.entries(this.#caches).filter(([, { synced }]) => !synced);
    return missing.length === 0
      ? undefined
      : `waiting for ${missing.map(([name, { problem }]) => (problem === undefined ? name : `${name} (${problem})`)).join(", ")}`;
  }

  /** Seconds since each cache was last proved current; absent before its first set. */
  get staleSeconds(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      Object.entries(this.#caches)
        .filter(([, { synced }]) => synced)
        .map(([name, cache]) => [name, cache.staleForMs() / 1000]),
    );
  }
}
