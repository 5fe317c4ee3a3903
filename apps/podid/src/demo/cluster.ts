import { readFileSync } from "node:fs";
import {
  KubeError,
  Reflector,
  ResourceClient,
  RESOURCES,
  transportFromKubeConfig,
  type KubeObject,
  type KubeTransport,
  type Resource,
} from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { ControlClient } from "../sandbox/control-client.ts";
import type { Output } from "../sandbox/shell.ts";
import type { SandboxState } from "../sandbox/state-file.ts";
import type { Manifest } from "./manifests.ts";

/** A sandbox as the demo uses it: through its API server and its control API, like any user. */
export class Cluster {
  readonly control: ControlClient;
  readonly pods: Reflector<KubeObject>;
  readonly assigned: Reflector<KubeObject>;
  readonly #transport: KubeTransport;
  readonly #made: Manifest[] = [];

  constructor(state: SandboxState) {
    this.control = new ControlClient(state);
    this.#transport = transportFromKubeConfig(parseNodeKubeConfig(readFileSync(state.kubeconfig, "utf8")), {
      userAgent: "podid-demo",
    });
    const watched = (resource: Resource): Reflector<KubeObject> =>
      new Reflector({ transport: this.#transport, resource, project: (object) => object });
    this.pods = watched(RESOURCES.pods);
    this.assigned = watched(RESOURCES.azureAssignedIdentities);
  }

  async open(): Promise<void> {
    this.pods.start();
    this.assigned.start();
    await Promise.all([this.pods.whenSynced(), this.assigned.whenSynced()]);
  }

  async close(): Promise<void> {
    await Promise.all([this.pods.stop(), this.assigned.stop()]);
    await this.#transport.close();
  }

  /** Creates an object, or brings the one that is there into line; a pod cannot be changed and is made anew. */
  async apply(manifest: Manifest): Promise<void> {
    const { resource, object } = manifest;
    const client = new ResourceClient(this.#transport, resource);
    const { name, namespace } = object.metadata;
    this.#made.push(manifest);
    try {
      await client.create(object);
    } catch (error) {
      if (!(error instanceof KubeError && error.status === 409)) throw error;
      if (resource.kind === "Pod") {
        await this.delete(manifest);
        await client.create(object);
      } else
        await client.patch(name, namespace, {
          type: "merge",
          body: { metadata: { labels: object.metadata.labels }, spec: object["spec"] },
        });
    }
  }

  /** Deletes an object and waits until it is gone. */
  async delete({ resource, object }: Manifest): Promise<void> {
    const client = new ResourceClient(this.#transport, resource);
    const { name, namespace = "" } = object.metadata;
    await client.delete(name, namespace, { gracePeriodSeconds: 1 }).catch((error: unknown) => {
      if (!(error instanceof KubeError && error.status === 404)) throw error;
    });
    if (resource.kind === "Pod") await this.until(() => !this.pods.items.has(`${namespace}/${name}`), 35_000);
  }

  /** Deletes everything that {@link apply} made, the last first. */
  async cleanUp(): Promise<void> {
    for (const manifest of this.#made.splice(0).toReversed()) await this.delete(manifest);
  }

  async list(resource: Resource): Promise<readonly KubeObject[]> {
    return (await new ResourceClient(this.#transport, resource).list()).items;
  }

  execInPod(pod: string, command: readonly string[]): Promise<Output> {
    return this.control.post<Output>(`/pods/${pod}/exec`, { command });
  }

  /** Waits for pods and assigned identities to be as `condition` says; false when that takes longer. */
  until(condition: () => boolean, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (held: boolean): void => {
        clearTimeout(timer);
        for (const stop of stops) stop();
        signal?.removeEventListener("abort", onAbort);
        resolve(held);
      };
      const check = (): void => {
        if (condition()) finish(true);
      };
      const onAbort = (): void => finish(false);
      const timer = setTimeout(() => finish(condition()), timeoutMs);
      const stops = [this.pods, this.assigned].map((reflector) =>
        reflector.subscribe({ upsert: check, delete: check }),
      );
      signal?.addEventListener("abort", onAbort, { once: true });
      check();
    });
  }
}
