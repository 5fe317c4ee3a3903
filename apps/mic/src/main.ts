import { userAgent } from "@podid/crd-types";
import { pacedTransport, RequestRate, systemClock, transportFromKubeConfig } from "@podid/kube";
import type { ConnectionSource, KubeTransport } from "@podid/kube";
import { loadKubeConfig } from "@podid/kube/kubeconfig";
import {
  createLogger,
  openProfiler,
  renderHelp,
  runMain,
  startMetrics,
  startProbes,
  startTracing,
} from "@podid/service";
import { AzureAccess } from "./cloud/azure-access.ts";
import { loadCloud } from "./cloud/load-cloud.ts";
import { runDrain } from "./drain/drain-command.ts";
import { drainableTransport } from "./drain/drainable-transport.ts";
import { Lifecycle } from "./drain/lifecycle.ts";
import { MIC_FLAGS } from "./flags.ts";
import { MicMetrics } from "./metrics.ts";
import { Mic } from "./mic.ts";
import { parseOptions, protectedIdentities } from "./options.ts";
import { ownIssuer } from "./status/service-account-issuer.ts";
import { BUILD } from "./build.ts";

const SUMMARY =
  "Attaches the AzureIdentities that pods need to their VMs and scale sets, and detaches what it attached when no pod needs it any more.";

runMain(async (signal) => {
  if (process.argv[2] === "drain") return runDrain(process.argv.slice(3), signal);
  const parsed = parseOptions(process.argv.slice(2), process.env);
  switch (parsed.kind) {
    case "version":
      process.stdout.write(
        `MIC Version: ${BUILD.version} - NMI Version: ${BUILD.version} - Commit: ${BUILD.commit} - Date: ${BUILD.date}\n`,
      );
      return 0;
    case "help":
      process.stdout.write(renderHelp({ usage: "mic [flags]", summary: SUMMARY }, MIC_FLAGS));
      return 0;
    case "invalid":
      for (const error of parsed.errors) process.stderr.write(`mic: ${error}\n`);
      return 1;
    case "run":
  }

  const { flags, settings, azure: loaded, tracing: tracingSettings } = parsed.options;
  const log = createLogger({ component: "mic", format: flags["log-format"], verbosity: flags.v });
  log.info({}, `starting mic process. Version: ${BUILD.version}. Build date: ${BUILD.date}`);
  if (flags.kubeconfig === "") log.warn({}, "--kubeconfig not passed will use InClusterConfig");
  if (flags.cloudconfig === "") log.warn({}, "--cloudconfig not passed will use aadpodidentity-admin-secret");
  log.info({}, `running MIC in namespaced mode: ${settings.forceNamespaced}`);

  const tracing = await startTracing(tracingSettings, {
    service: "mic",
    version: BUILD.version,
    onProblem: (problem) =>
      problem === undefined
        ? log.info({}, "traces are sent again")
        : log.warn({ error: problem }, "traces cannot be sent; MIC works on without"),
  });

  const agent = userAgent({ component: "MIC", ...BUILD, custom: flags["custom-user-agent"] });
  let kubeConfig: ConnectionSource;
  try {
    kubeConfig = loadKubeConfig(flags.kubeconfig || undefined);
  } catch (error) {
    log.error({ error: String(error) }, "no way to the API server: --kubeconfig cannot be used");
    return 1;
  }
  const transport = paced(transportFromKubeConfig(kubeConfig, { userAgent: agent }), flags.clientQps);
  if (flags.clientQps > 0) {
    const burst = Math.max(1, Math.trunc(flags.clientQps));
    log.info({}, `client QPS set to: ${flags.clientQps}. Burst to: ${burst}`);
  }
  const leases = transportFromKubeConfig(kubeConfig, { userAgent: agent });
  const azure = new AzureAccess(loaded, {
    userAgent: agent,
    computeApiVersion: flags["compute-api-version"],
    log,
    clock: systemClock,
    load: () => loadCloud(flags.cloudconfig, process.env),
    onChange: ({ config }) => {
      mic
        .accessChanged(protectedIdentities(flags["immutable-user-msis"], config))
        .catch((error: unknown) =>
          log.error({ error: String(error) }, "could not begin anew with the changed cloud config"),
        );
    },
  });
  const metrics = new MicMetrics();
  const lifecycle = new Lifecycle({ transport, namespace: settings.namespace, log });
  const mic = new Mic(
    {
      transport: drainableTransport(transport, lifecycle),
      lifecycle,
      leases,
      arm: azure,
      directory: azure,
      metrics,
      log,
      clock: systemClock,
      random: Math.random,
      issuer: ownIssuer,
      tracing,
    },
    settings,
  );
  const host = flags["probe-host"] === "" ? {} : { host: flags["probe-host"] };
  const probes = await startProbes({
    ...host,
    port: flags["http-probe-port"],
    healthz: () => mic.healthz(),
    live: mic.live,
    ready: mic.ready,
  });
  const scrape = await startMetrics({ ...host, port: flags["prometheus-port"], registry: metrics.registry });
  const profiler = flags.enableProfile ? await openProfiler(log) : undefined;
  log.info({ port: probes.port }, `initialized health probe on port ${probes.port}`);
  log.info({ port: scrape.port }, `registered and exported metrics on port ${scrape.port}`);

  lifecycle.start();
  mic.start();
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  log.info({}, "shutting down");
  await mic.stop();
  await lifecycle.stop();
  azure.close();
  await Promise.all([probes.close(), scrape.close(), profiler?.close(), tracing.close()]);
  await Promise.all([transport.close(), leases.close()]);
  return 0;
});

/** As upstream's client: that many requests per second, and at most as many at once after a quiet time. */
function paced(transport: KubeTransport, qps: number): KubeTransport {
  if (qps === 0) return transport;
  return pacedTransport(transport, new RequestRate({ perSecond: qps, burst: Math.max(1, Math.trunc(qps)) }));
}
