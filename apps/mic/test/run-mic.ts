import type { Arm } from "@podid/azure-assigner";
import { systemClock } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { createLogger } from "@podid/service";
import { MicMetrics } from "../src/metrics.ts";
import { Mic } from "../src/mic.ts";
import type { MicPorts, MicSettings } from "../src/mic.ts";

export interface RunningMic {
  readonly mic: Mic;
  readonly metrics: MicMetrics;
  readonly log: readonly string[];
}

/** Nobody loses it because the machine that tests is busy. */
const LEASE_MS = 60_000;

export interface TestSettings extends Partial<MicSettings> {
  /** For tests that wait until a lease has run out. */
  readonly leaseMs?: number;
}

let instances = 0;

/** MIC in this process with patience cut short, so that tests need not wait. */
export function runMic(
  transport: KubeTransport,
  arm: Arm,
  { leaseMs = LEASE_MS, ...settings }: TestSettings = {},
  ports: Partial<MicPorts> = {},
): RunningMic {
  instances += 1;
  const metrics = new MicMetrics();
  const lines: string[] = [];
  const mic = new Mic(
    {
      transport,
      arm,
      metrics,
      clock: systemClock,
      random: Math.random,
      ...ports,
      log: createLogger({ component: "mic", format: "text", verbosity: 5, write: (line) => lines.push(line) }),
    },
    {
      forceNamespaced: false,
      dryRun: false,
      adoptUpstream: "all",
      namespace: "podid",
      createDeleteBatch: 20,
      reconcileIntervalMs: 180_000,
      syncRetryMs: 3_600_000,
      trustMs: 30_000,
      protectedIdentities: [],
      assignerLimits: { conflictDelayMs: 5 },
      lease: { namespace: "podid", name: "aad-pod-identity-mic", identity: `mic-${instances}`, durationMs: leaseMs },
      ...settings,
    },
  );
  mic.start();
  return { mic, metrics, log: lines };
}
