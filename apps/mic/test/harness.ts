import { deepEqual } from "node:assert/strict";
import { MemoryArm } from "@podid/azure-assigner/testing";
import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";
import type { KubeTransport } from "@podid/kube";
import type { MicPorts } from "../src/mic.ts";
import { Cluster, resourceId, vmProviderId } from "./cluster.ts";
import { runMic } from "./run-mic.ts";
import type { RunningMic, TestSettings } from "./run-mic.ts";
import { until } from "./until.ts";

/** An API server, an ARM, and as many MICs as a scenario wants, all in this process. */
export class Harness {
  readonly cluster: Cluster;
  readonly arm = new MemoryArm();
  readonly #running: { readonly mic: RunningMic; readonly transport: KubeTransport }[] = [];

  static async start(): Promise<Harness> {
    return new Harness(await Cluster.start());
  }

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  start(
    settings: TestSettings = {},
    wrap = (transport: KubeTransport): KubeTransport => transport,
    ports: Partial<MicPorts> = {},
  ): RunningMic {
    const transport = wrap(this.cluster.newTransport());
    const mic = runMic(transport, this.arm, settings, ports);
    this.#running.push({ mic, transport });
    return mic;
  }

  /** As SIGTERM does. */
  async stop({ mic }: RunningMic): Promise<void> {
    await mic.stop();
  }

  async close(): Promise<void> {
    for (const { mic, transport } of this.#running.splice(0)) {
      await mic.mic.stop();
      await transport.close();
    }
    await this.cluster.close();
  }

  /** Names of the identities that a machine holds. */
  held(providerId: string): string[] {
    return [...this.arm.machine(groupOf(providerId)).identities.keys()]
      .map((key) => key.slice(key.lastIndexOf("/") + 1))
      .sort();
  }

  /** Waits until the AzureAssignedIdentities are exactly these, by name and status. */
  async becomes(want: Record<string, string>): Promise<void> {
    await until(async () => deepEqual(await this.cluster.statuses(), want));
  }

  /** S10's objects: one VM, identity, binding and pod. */
  async simple(): Promise<void> {
    await this.cluster.node("test-node", vmProviderId("test-node"));
    await this.cluster.identity("test-id", { clientID: "test-user-msi-clientid", resourceID: resourceId("identity1") });
    await this.cluster.binding("testbinding", "test-id", "test-select");
    await this.cluster.pod("test-pod", "test-node", "test-select");
  }
}

/** Name of the object of {@link Harness.simple}. */
export const SIMPLE = "test-pod-default-test-id";

export function groupOf(providerId: string): NodeGroup {
  const parsed = parseProviderId(providerId);
  if (!parsed.ok) throw new Error(parsed.errors[0]?.message);
  return parsed.value.group;
}
