import { nodeLabelValue, NODE_LABEL } from "@podid/crd-types";
import { Reflector, RESOURCES } from "@podid/kube";
import type { KubeObject, KubeTransport, Log, Resource } from "@podid/kube";
import { bindingRecord, exceptionRecord } from "@podid/matcher";
import { assignedRecord } from "./assigned-identity.ts";
import { nodeIdentityRecord } from "./by-client-id.ts";
import type { ClusterDirectory } from "./cluster-directory.ts";
import { lifecycleRecord } from "./lifecycle-record.ts";
import type { LifecycleRecord } from "./lifecycle-record.ts";
import { nodePod } from "./node-pod.ts";

export interface ReflectorsOptions {
  readonly transport: KubeTransport;
  readonly node: string;
  readonly mode: "standard" | "managed";
  /** Watch only assigned identities labelled with this node. */
  readonly ownAssignedOnly: boolean;
  readonly lifecycleNamespace: string;
  readonly log: Log;
}

/** MIC, chart and operators speak to NMI through this ConfigMap. */
export const LIFECYCLE_CONFIG_MAP = "podid-lifecycle";

type AnyReflector = Pick<Reflector<unknown>, "start" | "stop" | "synced" | "problem" | "staleForMs">;

/** The watches of one node agent: pods and assigned identities of its node, the rest of the cluster projected. */
export class Reflectors {
  /** By plural name; all of them have to be synced before anything is concluded. */
  readonly needed: Readonly<Record<string, AnyReflector>>;
  readonly lifecycle: Reflector<LifecycleRecord>;
  /** The same, for a question that every request asks. */
  readonly #needed: readonly (readonly [name: string, reflector: AnyReflector])[];

  constructor(options: ReflectorsOptions, directory: ClusterDirectory) {
    const { transport, log, node } = options;
    const make = <T>(
      resource: Resource,
      project: (object: KubeObject) => T | undefined,
      scope: { fieldSelector?: string; labelSelector?: string; namespace?: string } = {},
    ): Reflector<T> =>
      new Reflector<T>({ transport, resource, project, log, useWatchList: true, pageSize: 0, ...scope });

    const pods = make(RESOURCES.pods, nodePod, { fieldSelector: `spec.nodeName=${node}` });
    pods.subscribe({
      upsert: (_key, pod, previous) => directory.upsertPod(pod, previous),
      delete: (_key, pod) => directory.deletePod(pod),
      synced: () => directory.changed(),
    });
    const bindings = make(RESOURCES.azureIdentityBindings, bindingRecord);
    bindings.subscribe({
      upsert: (_key, binding) => directory.upsertBinding(binding),
      delete: (_key, binding) => directory.deleteBinding(binding),
      synced: () => directory.changed(),
    });
    const identities = make(RESOURCES.azureIdentities, nodeIdentityRecord);
    identities.subscribe({
      upsert: (_key, identity, previous) => directory.upsertIdentity(identity, previous),
      delete: (_key, identity) => directory.deleteIdentity(identity),
      synced: () => directory.changed(),
    });
    const exceptions = make(RESOURCES.azurePodIdentityExceptions, exceptionRecord);
    exceptions.subscribe({
      upsert: (_key, exception) => directory.upsertException(exception),
      delete: (_key, exception) => directory.deleteException(exception),
      synced: () => directory.changed(),
    });
    const needed: Record<string, AnyReflector> = {
      pods,
      azureidentitybindings: bindings,
      azureidentities: identities,
      azurepodidentityexceptions: exceptions,
    };
    if (options.mode === "standard") {
      const scope = options.ownAssignedOnly ? { labelSelector: `${NODE_LABEL}=${nodeLabelValue(node)}` } : {};
      const assigned = make(RESOURCES.azureAssignedIdentities, assignedRecord, scope);
      assigned.subscribe({
        upsert: (key, record, previous) => directory.upsertAssigned(key, record, previous),
        delete: (key, record) => directory.deleteAssigned(key, record),
        synced: () => directory.changed(),
      });
      needed["azureassignedidentities"] = assigned;
    }
    this.needed = needed;
    this.#needed = Object.entries(needed);
    this.lifecycle = make(RESOURCES.configMaps, lifecycleRecord, {
      namespace: options.lifecycleNamespace,
      fieldSelector: `metadata.name=${LIFECYCLE_CONFIG_MAP}`,
    });
    this.lifecycle.subscribe({
      upsert: () => undefined,
      delete: () => undefined,
      synced: () => directory.changed(),
      failed: () => directory.changed(),
    });
  }

  start(): void {
    for (const reflector of this.#all()) reflector.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((reflector) => reflector.stop()));
  }

  /** What is missing before anything may be concluded. */
  unsynced(): string | undefined {
    for (const [name, reflector] of this.#needed) {
      if (!reflector.synced)
        return `the node agent does not know the cluster's ${name} yet${reflector.problem === undefined ? "" : `: ${reflector.problem}`}`;
    }
    // It tells which identities are not for pods. A right to it that is missing must not stop everything, though.
    if (!this.lifecycle.synced && this.lifecycle.problem === undefined)
      return `the node agent has not read ConfigMap ${LIFECYCLE_CONFIG_MAP} yet`;
    return undefined;
  }

  #all(): AnyReflector[] {
    return [...Object.values(this.needed), this.lifecycle];
  }
}
