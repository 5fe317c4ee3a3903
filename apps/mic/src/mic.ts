import type { Arm, IdentityDirectory } from "@podid/azure-assigner";
import { EVENT_COMPONENT } from "@podid/crd-types";
import { EventRecorder, LeaderElector } from "@podid/kube";
import type { Clock, KubeTransport } from "@podid/kube";
import type { Checks, Logger } from "@podid/service";
import { Caches } from "./caches.ts";
import type { MicMetrics } from "./metrics.ts";
import { Term } from "./term.ts";
import type { TermSettings } from "./term.ts";
import { World } from "./world.ts";

export interface MicSettings extends TermSettings {
  /** The Lease. */
  readonly lease: {
    readonly namespace: string;
    readonly name: string;
    /** Unique per process. */
    readonly identity: string;
    readonly durationMs: number;
  };
}

export interface MicPorts {
  readonly transport: KubeTransport;
  /** For the Lease alone, so that a renewal waits behind no other request; absent: `transport`. */
  readonly leases?: KubeTransport;
  readonly arm: Arm;
  readonly directory?: IdentityDirectory;
  readonly metrics: MicMetrics;
  readonly log: Logger;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Issuer of the cluster's ServiceAccount tokens, if known. */
  readonly issuer?: () => string | undefined;
}

/** With less of the lease left than this nothing new is begun: a request must reach its server before another may lead. */
const LEASE_MARGIN_MS = 2000;

/** The managed identity controller in one process: warm caches always, work while it leads. */
export class Mic {
  readonly #world: World;
  readonly #caches: Caches;
  readonly #elector: LeaderElector;
  readonly #events: EventRecorder;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #term: Term | undefined;
  #started: Promise<void> | undefined;

  constructor(ports: MicPorts, settings: MicSettings) {
    const { transport, leases = transport, metrics, log, clock, random } = ports;
    this.#log = log;
    this.#world = new World({ forceNamespaced: settings.forceNamespaced });
    this.#caches = new Caches({ transport, world: this.#world, log, clock, random });
    this.#events = new EventRecorder({ transport, component: EVENT_COMPONENT, clock });
    const margin = Math.min(LEASE_MARGIN_MS, settings.lease.durationMs / 5);
    this.#elector = new LeaderElector({
      transport: leases,
      namespace: settings.lease.namespace,
      name: settings.lease.name,
      identity: settings.lease.identity,
      leaseDurationMs: settings.lease.durationMs,
      clock,
      random,
      log,
      onNewLeader: (identity) => log.info({ leader: identity }, `new leader elected: ${identity}`),
      onStartedLeading: (signal) => {
        metrics.elected();
        const fenced = (): string | undefined => {
          if (signal.aborted || !this.#elector.isLeader) return "another instance may lead by now";
          return this.#elector.remainingMs() < margin ? "the lease is about to run out" : undefined;
        };
        const term = new Term(
          { ...ports, world: this.#world, events: this.#events, fenced, epoch: () => this.#elector.epoch },
          settings,
        );
        this.#term = term;
        term.start().catch((error: unknown) => log.error({ error: String(error) }, "could not begin to lead"));
      },
      onStoppedLeading: async () => {
        const term = this.#term;
        this.#term = undefined;
        if (!this.#stopping.signal.aborted) log.error({}, "lost leader lease");
        await term?.stop();
      },
    });
    metrics.gauge("leader", "1 while this process leads", () => (this.#elector.isLeader ? 1 : 0));
    metrics.gauge("queue_depth", "Keys that wait in the work queues", () => this.#term?.queueDepths ?? {}, "queue");
    metrics.gauge(
      "watch_staleness_seconds",
      "Time since the API server last proved a cache current",
      () => this.#caches.staleSeconds,
      "cache",
    );
  }

  /** Starts to watch, and to stand for election once all caches are complete. */
  start(): void {
    this.#started ??= this.#start();
  }

  /** Ends the work, releases the lease, stops watching. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error("MIC is stopping"));
    await this.#started;
    await this.#elector.stop();
    await this.#caches.stop();
    await this.#events.flush();
  }

  /** Upstream's answer on `/healthz`. */
  healthz(): string {
    return this.isActive ? "Active" : "Not Active";
  }

  get isActive(): boolean {
    return this.#elector.isLeader && this.#term !== undefined;
  }

  /** Readiness: a stand-by is ready when its caches are complete, because only then can it take over. */
  get ready(): Checks {
    return {
      caches: () => this.#caches.missing,
      running: () => (this.#stopping.signal.aborted ? "shutting down" : undefined),
    };
  }

  async #start(): Promise<void> {
    this.#caches.start();
    const since = performance.now();
    try {
      await this.#caches.whenSynced(this.#stopping.signal);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      throw error;
    }
    this.#log.info({}, `pod cache synchronized. Took ${((performance.now() - since) / 1000).toFixed(3)}s`);
    this.#log.info({}, "initiating MIC Leader election");
    this.#elector.start();
  }
}
