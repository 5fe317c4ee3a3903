import { startMetrics, startProbes } from "@podid/service";
import type { Checks, Endpoint, Scraped } from "@podid/service";
import { LateEndpoint } from "./hand-over/late-endpoint.ts";
import type { LateEndpointOptions } from "./hand-over/late-endpoint.ts";
import { openProbeSocket } from "./hand-over/probe-socket.ts";
import type { Config } from "./config.ts";

/** What it says of itself to kubelet and to those who measure it. */
export interface OwnEndpoints {
  readonly probes: Endpoint;
  readonly metrics: Endpoint;
  close(): Promise<void>;
}

/** @throws when one of them cannot be opened for another reason than that an older process still holds its port */
export async function openOwnEndpoints(
  { probePort, metricsPort, probeSocket }: Pick<Config, "probePort" | "metricsPort" | "probeSocket">,
  says: { readonly healthz: () => string; readonly ready: Checks; readonly registry: Scraped },
  { clock, log }: Pick<LateEndpointOptions, "clock" | "log">,
): Promise<OwnEndpoints> {
  const { healthz, ready, registry } = says;
  const [probes, metrics, socket] = await Promise.all([
    LateEndpoint.open({
      name: "probes",
      open: () => startProbes({ port: probePort, healthz, live: {}, ready }),
      clock,
      log,
    }),
    LateEndpoint.open({ name: "metrics", open: () => startMetrics({ port: metricsPort, registry }), clock, log }),
    probeSocket === undefined ? undefined : openProbeSocket(probeSocket, { live: {}, ready }),
  ]);
  log.info({}, `initialized health probe on port ${probes.port}`);
  log.info({}, `registered and exported metrics on port ${metrics.port}`);
  return {
    probes,
    metrics,
    close: async () => void (await Promise.all([probes.close(), metrics.close(), socket?.close()])),
  };
}
