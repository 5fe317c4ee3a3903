import { EVENT_COMPONENT } from "@podid/crd-types";
import {
  FairLimiter,
  HttpImdsClient,
  ImdsForwarder,
  ImdsSource,
  normalizeAddress,
  TokenBroker,
  TokenService,
} from "@podid/imds-proxy";
import type { Clock } from "@podid/imds-proxy";
import type { NodeRules } from "@podid/iptables";
import { EventRecorder, ResourceClient, RESOURCES } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { NO_TRACING } from "@podid/service";
import type { Checks, Endpoint, Logger, Tracing } from "@podid/service";
import type { AuditStream } from "./audit-stream.ts";
import { ClusterDirectory } from "./cluster-directory.ts";
import type { Config } from "./config.ts";
import { HttpDoors } from "./hand-over/http-door.ts";
import type { HttpDoorOptions } from "./hand-over/http-door.ts";
import { MeetingPoint } from "./hand-over/meeting-point.ts";
import { UNCONTESTED } from "./hand-over/node-lock.ts";
import type { Lock } from "./hand-over/node-lock.ts";
import { Presence } from "./hand-over/presence.ts";
import { openHostTokens } from "./host-tokens.ts";
import { LogLimiter } from "./log-limiter.ts";
import { NmiMetrics } from "./metrics.ts";
import { mayCall, nodePod } from "./node-pod.ts";
import type { NodePod } from "./node-pod.ts";
import { CniCache } from "./node/cni-cache.ts";
import type { HostGroups } from "./node/host-groups.ts";
import { nodeAddresses } from "./node/link-local.ts";
import { StartupTaint } from "./node/startup-taint.ts";
import { openOwnEndpoints } from "./own-endpoints.ts";
import { Reflectors } from "./reflectors.ts";
import { Reporting } from "./reporting.ts";
import { tokenSources } from "./sources/sources.ts";
import { UninstallMark } from "./uninstall-mark.ts";

export interface NmiPorts {
  readonly transport: KubeTransport;
  readonly rules: Pick<NodeRules, "ensure" | "remove" | "change">;
  /** Which process of this node writes the rules; absent: this one. */
  readonly lock?: Lock;
  /** Whom the rules for the node's own processes let through; absent: there are no such rules. */
  readonly hostGroups?: HostGroups | undefined;
  /** Called after the rules were removed because podid is being uninstalled. */
  readonly onUninstalled?: () => Promise<void>;
  /** Where the audit goes; absent: nowhere. */
  readonly audit?: AuditStream | undefined;
  readonly tracing?: Tracing;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  /** Of requests to Entra and, with kubelet's credentials, to the API server. */
  readonly userAgent?: string;
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

/** For the answer of a request that waited as long as it may. */
const PATIENCE_MS = 5_000;
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
  const crowded = new LogLimiter({ monotonicMs: () => clock.monotonicMs(), perKey: 1, windowMs: 60_000 });
  const doors = new HttpDoors({
    refused: (address) => {
      const unsaid = crowded.admit(address);
      if (unsaid !== undefined) log.warn({ address, unsaid }, "refused a connection: its address has too many already");
    },
  });
  const records =
    config.cniCacheDir === undefined
      ? undefined
      : new CniCache({
          directory: config.cniCacheDir,
          clock,
          log,
          changed: (left) => {
            for (const address of left) doors.closeFrom(address);
            directory.changed();
          },
        });
  const directory = new ClusterDirectory({
    clock,
    mode: config.mode,
    forceNamespaced: config.forceNamespaced,
    mic:
      config.micServiceAccount === undefined
        ? undefined
        : { namespace: config.micNamespace, serviceAccount: config.micServiceAccount },
    onIdentityGone: (uid) => broker.invalidate(uid),
    onPodGone: (uid) => {
      broker.forgetPod(uid);
      sources.forgetPod(uid);
    },
    records,
    isNodeAddress: (address) => nodeAddresses().has(address),
    onAddressInDoubt: (address) => doors.closeFrom(address),
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

  const metrics: NmiMetrics = new NmiMetrics({
    parked: () => tokens.parked,
    staleSeconds: () => staleness(watches),
    broker: () => broker.statistics,
  });
  const events = new EventRecorder({ transport, component: EVENT_COMPONENT, host: config.node, log });
  const reporting = new Reporting({
    metrics,
    log,
    clock,
    events,
    tracing: ports.tracing ?? NO_TRACING,
    audit: ports.audit,
  });
  const sources = tokenSources(config.sources, {
    transport,
    imds: metrics.measured(new ImdsSource({ client, clock }), () => clock.monotonicMs()),
    measured: (source) => metrics.measured(source, () => clock.monotonicMs(), "adal_token"),
    clock,
    log,
    ...(ports.userAgent !== undefined && { userAgent: ports.userAgent }),
  });
  watches.lifecycle.subscribe({
    upsert: (_key, { nodeIdentities }) => {
      if (nodeIdentities !== undefined) sources.nodeIdentities.told(nodeIdentities);
    },
    // Nobody said that pods may have them from now on.
    delete: () => undefined,
  });
  const tokens: TokenService = new TokenService({
    directory,
    broker,
    forwarder,
    clock,
    random,
    sources: sources.byType,
    rules: config,
  });
  const taint =
    config.startupTaint === undefined
      ? undefined
      : new StartupTaint({
          nodes: new ResourceClient(transport, RESOURCES.nodes),
          node: config.node,
          key: config.startupTaint,
          clock,
          log,
          ready: () => notReady().length === 0,
          canary: config.startupCanary,
        });

  let stopping = false;
  const proxy: HttpDoorOptions["proxy"] = {
    tokens,
    forwarder,
    rules: {
      metadataHeaderRequired: config.metadataHeaderRequired,
      blocked: config.blockInstanceMetadata ? ["instance"] : [],
      hostToken: config.hostToken === "on",
      approveEvents: config.approveEvents,
    },
    observe: (exchange) => {
      reporting.exchange(exchange);
      if (taint !== undefined && directory.owner(normalizeAddress(exchange.remote)).kind === "pod") taint.arrived();
    },
    onError: (error) =>
      log.error({ error: error instanceof Error ? error.stack : String(error) }, "a request failed because of a bug"),
  };
  const presence = new Presence({
    rules: ports.rules,
    lock: ports.lock ?? UNCONTESTED,
    meetingPoint: config.stateDir === undefined ? undefined : new MeetingPoint({ directory: config.stateDir }),
    openDoor: async (port) => {
      const door = await doors.open({ host: config.listenAddress, port, proxy });
      log.info({}, `listening on ${config.listenAddress}:${door.port}`);
      return door;
    },
    port: config.port,
    handOverPort: config.handOverPort,
    rulesIntervalMs: config.rulesIntervalMs,
    clock,
    log,
    unprepared: () => watches.unsynced(),
    onRepair: () => metrics.ruleRepair(),
    ...(ports.hostGroups && { rewrite: () => ports.hostGroups?.refresh() ?? Promise.resolve(new Set<string>()) }),
    exportTokens: () => broker.export(),
    importTokens: (snapshot) => log.info({ tokens: broker.import(snapshot) }, "took over tokens"),
  });

  const ready: Checks = {
    rules: () => presence.problem,
    host: () => ports.hostGroups?.problem,
    caches: () => watches.unsynced(),
    serving: () => (stopping ? "shutting down" : undefined),
  };
  const notReady = (): readonly string[] =>
    Object.entries(ready).flatMap(([name, check]) => (check() === undefined ? [] : [`${name}: ${check()}`]));

  const healthz = (): string => (presence.problem === undefined ? "Active" : "Not Active");
  await records?.start();
  watches.start();
  taint?.start();
  // Not waited for: the rules must not wait for the API server. Until it has been asked there are no such tokens.
  const verified = sources.verify();
  verified.catch(() => undefined);
  // Programs that look at the rules, connections to the API server and what listens need different things: all at once.
  const present = presence.start();
  const opening = Promise.all([
    openOwnEndpoints(config, { healthz, ready, registry: metrics.registry }, { clock, log }),
    openHostTokens(config, proxy, { clock, log }),
  ]);
  // Whatever cannot be opened: nobody leaves before the rules are in.
  await Promise.allSettled([opening, present]);
  const [own, hostTokens] = await opening;
  await present;

  const nmi: Nmi = {
    get port() {
      return presence.port;
    },
    probes: own.probes,
    metrics: own.metrics,
    notReady,
    async stop() {
      stopping = true;
      await taint?.stop();
      await hostTokens?.close();
      const uninstalling = mark.set;
      await presence.stop({
        uninstalling,
        drain: () => tokens.drain(),
        drainMs: config.drainMs,
        patientMs: config.maxWaitMs + PATIENCE_MS,
      });
      if (uninstalling) await ports.onUninstalled?.();
      client.close();
      await sources.close();
      await watches.stop();
      await records?.stop();
      await Promise.all([own.close(), events.flush({ timeoutMs: 1_000 })]);
      await reporting.close();
    },
  };
  try {
    await verified;
  } catch (error) {
    await nmi.stop();
    throw error;
  }
  return nmi;
}

async function confirmOwner(pods: ResourceClient, pod: NodePod, address: string, nowMs: number): Promise<boolean> {
  const { name, namespace, uid } = pod.record;
  const live = nodePod(await pods.get(name, namespace));
  return live?.record.uid === uid && live.addresses.includes(address) && mayCall(live, nowMs);
}

function staleness({ needed }: Reflectors): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(needed).map(([name, reflector]) => [name, reflector.staleForMs() / 1000]));
}
