import {
  FairLimiter,
  HttpImdsClient,
  ImdsForwarder,
  imdsProxy,
  imdsServerOptions,
  ImdsSource,
  TokenBroker,
  TokenService,
} from "@podid/imds-proxy";
import type { Clock } from "@podid/imds-proxy";
import type { NodeRules } from "@podid/iptables";
import { ResourceClient, RESOURCES } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { startMetrics, startProbes } from "@podid/service";
import type { Checks, Endpoint, Logger } from "@podid/service";
import Fastify from "fastify";
import { ClusterDirectory } from "./cluster-directory.ts";
import type { Config } from "./config.ts";
import { logExchange } from "./exchange-log.ts";
import { NmiMetrics } from "./metrics.ts";
import { mayCall, nodePod } from "./node-pod.ts";
import type { NodePod } from "./node-pod.ts";
import { Reflectors } from "./reflectors.ts";
import { RulesKeeper } from "./rules-keeper.ts";
import { UninstallMark } from "./uninstall-mark.ts";

export interface NmiPorts {
  readonly transport: KubeTransport;
  readonly rules: Pick<NodeRules, "ensure" | "remove">;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

export interface Nmi {
  /** Where pods' requests are served. */
  readonly port: number;
  readonly probes: Endpoint;
  readonly metrics: Endpoint;
  /** Why it is not ready; empty when it is. */
  notReady(): readonly string[];
  /** Answers what is under way, and takes the rules out only if podid is being uninstalled. */
  stop(): Promise<void>;
}

const MAX_CONNECTIONS = 16_384;
/** IMDS allows five requests a second and machine outside its identity endpoint, and others on the node ask too. */
const METADATA_RATE = 5;
const METADATA_CONCURRENCY = 4;

/** Builds the node agent and connects its parts: it listens first, then puts the rules in, then becomes ready. */
export async function startNmi(config: Config, ports: NmiPorts): Promise<Nmi> {
  const { log, clock, random, transport } = ports;
  const pods = new ResourceClient(transport, RESOURCES.pods);
  const client = new HttpImdsClient({ host: config.metadataIp, port: config.metadataPort });
  const tokenLimiter = new FairLimiter({ clock, ratePerSecond: config.imdsRate, concurrency: config.imdsConcurrency });
  const metadataLimiter = new FairLimiter({ clock, ratePerSecond: METADATA_RATE, concurrency: METADATA_CONCURRENCY });
  const forwarder = new ImdsForwarder({ client, tokenLimiter, metadataLimiter });
  const broker = new TokenBroker({ clock, random, limiter: tokenLimiter, cache: config.tokenCache });
  const directory = new ClusterDirectory({
    clock,
    mode: config.mode,
    forceNamespaced: config.forceNamespaced,
    mic:
      config.micServiceAccount === undefined
        ? undefined
        : { namespace: config.micNamespace, serviceAccount: config.micServiceAccount },
    onIdentityGone: (uid) => broker.invalidate(uid),
    confirm: (pod, address) => confirmOwner(pods, pod, address, clock.wallMs()),
    unsynced: () => watches.unsynced(),
  });
  const watches: Reflectors = new Reflectors({ ...config, transport, log }, directory);
  const mark = new UninstallMark(watches.lifecycle, (uninstalling) => {
    log.warn(
      { uninstalling },
      uninstalling
        ? "podid is being uninstalled: the rules will be removed at the end"
        : "podid is not being uninstalled any more",
    );
  });

  const metrics: NmiMetrics = new NmiMetrics({ parked: () => tokens.parked, staleSeconds: () => staleness(watches) });
  const tokens: TokenService = new TokenService({
    directory,
    broker,
    forwarder,
    clock,
    random,
    sources: { 0: metrics.measured(new ImdsSource({ client, clock }), () => clock.monotonicMs()) },
    rules: config,
  });
  const keeper = new RulesKeeper({
    rules: ports.rules,
    clock,
    intervalMs: config.rulesIntervalMs,
    log,
    onRepair: () => metrics.ruleRepair(),
  });

  let stopping = false;
  const ready: Checks = {
    rules: () => keeper.problem,
    caches: () => watches.unsynced(),
    serving: () => (stopping ? "shutting down" : undefined),
  };
  const notReady = (): readonly string[] =>
    Object.entries(ready).flatMap(([name, check]) => (check() === undefined ? [] : [`${name}: ${check()}`]));

  const probes = await startProbes({
    port: config.probePort,
    healthz: () => (keeper.problem === undefined ? "Active" : "Not Active"),
    live: {},
    ready,
  });
  log.info({}, `initialized health probe on port ${probes.port}`);
  const scrape = await startMetrics({ port: config.metricsPort, registry: metrics.registry });
  log.info({}, `registered and exported metrics on port ${scrape.port}`);
  watches.start();

  const app = Fastify(imdsServerOptions());
  await app.register(imdsProxy, {
    tokens,
    forwarder,
    rules: {
      metadataHeaderRequired: config.metadataHeaderRequired,
      blocked: config.blockInstanceMetadata ? ["instance"] : [],
    },
    observe: (exchange) => {
      metrics.exchange(exchange);
      logExchange(log, exchange);
    },
    closing: () => stopping,
    onError: (error) =>
      log.error({ error: error instanceof Error ? error.stack : String(error) }, "a request failed because of a bug"),
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  await app.listen({ host: config.listenAddress, port: config.port });
  const address = app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : config.port;
  log.info({}, `listening on ${config.listenAddress}:${port}`);
  await keeper.start();

  return {
    port,
    probes,
    metrics: scrape,
    notReady,
    async stop() {
      stopping = true;
      await keeper.stop();
      if (mark.set) {
        log.warn({}, "podid is being uninstalled: removing the iptables rules");
        await ports.rules.remove();
      }
      const drain = clock.setTimeout(() => tokens.drain(), config.drainMs);
      await app.close();
      drain.cancel();
      client.close();
      await watches.stop();
      await Promise.all([probes.close(), scrape.close()]);
    },
  };
}

async function confirmOwner(pods: ResourceClient, pod: NodePod, address: string, nowMs: number): Promise<boolean> {
  const { name, namespace, uid } = pod.record;
  const live = nodePod(await pods.get(name, namespace));
  return live?.record.uid === uid && live.addresses.includes(address) && mayCall(live, nowMs);
}

function staleness({ needed }: Reflectors): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(needed).map(([name, reflector]) => [name, reflector.staleForMs() / 1000]));
}
