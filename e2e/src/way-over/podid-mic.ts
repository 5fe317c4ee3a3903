import type { MemoryArm } from "@podid/azure-assigner/testing";
import type { KubeTransport } from "@podid/kube";
import { createLogger } from "@podid/service";
import { drainableTransport } from "../../../apps/mic/src/drain/drainable-transport.ts";
import { Lifecycle } from "../../../apps/mic/src/drain/lifecycle.ts";
import { runMic } from "../../../apps/mic/test/run-mic.ts";
import type { RunningMic } from "../../../apps/mic/test/run-mic.ts";
import type { HelmCluster } from "../chart/helm-cluster.ts";
import { until } from "../until.ts";
import { LEASE_SECONDS } from "./former-mic.ts";

const NAMESPACE = "kube-system";

/** podid's MIC with what the release gives its ServiceAccount. */
export class PodidMic {
  readonly arm: MemoryArm;
  readonly running: RunningMic;
  readonly #lifecycle: Lifecycle;
  readonly #transport: KubeTransport;

  private constructor(arm: MemoryArm, transport: KubeTransport, identityOfProcess: string) {
    this.arm = arm;
    this.#transport = transport;
    const log = createLogger({ component: "mic", format: "text", write: () => undefined });
    this.#lifecycle = new Lifecycle({ transport, namespace: NAMESPACE, log });
    this.#lifecycle.start();
    this.running = runMic(drainableTransport(transport, this.#lifecycle), arm, {
      namespace: NAMESPACE,
      lease: {
        namespace: NAMESPACE,
        name: "aad-pod-identity-mic",
        identity: identityOfProcess,
        durationMs: LEASE_SECONDS * 1000,
        upstreamNamespace: "default",
      },
      typeUpgrade: {
        namespace: NAMESPACE,
        configMap: "aad-pod-identity-config",
        key: "type-upgrade-status",
        version: "0.1.0",
      },
    });
  }

  static async start(cluster: HelmCluster, arm: MemoryArm, name: string): Promise<PodidMic> {
    return new PodidMic(arm, await cluster.as("aad-pod-identity-mic", NAMESPACE), name);
  }

  get log(): string {
    return this.running.log.join("");
  }

  async says(what: string): Promise<void> {
    await until(`podid's MIC says ${what}`, () => Promise.resolve(this.log.includes(what))).catch((error: unknown) => {
      throw new Error(`it said:\n${this.log.slice(-4000)}`, { cause: error });
    });
  }

  async stop(): Promise<void> {
    await this.running.mic.stop();
    await this.#lifecycle.stop();
    await this.#transport.close();
  }
}
