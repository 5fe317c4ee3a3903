import { GuardMemory } from "@podid/azure-assigner";
import type { Arm, IdentityDirectory } from "@podid/azure-assigner";
import { EVENT_COMPONENT } from "@podid/crd-types";
import { EventRecorder, fencedTransport } from "@podid/kube";
import type { Clock, KubeTransport } from "@podid/kube";
import type { Checks, Logger, Tracing } from "@podid/service";
import { armGauges } from "./arm-gauges.ts";
import { Caches } from "./caches.ts";
import { crdProblem, readCrdSupport } from "./crd-support.ts";
import { Leadership } from "./election/leadership.ts";
import type { LeadershipSettings } from "./election/leadership.ts";
import type { MicMetrics } from "./metrics.ts";
import { pause } from "./pause.ts";
import { Term } from "./term.ts";
import type { TermPorts, TermSettings } from "./term-settings.ts";
import { TypeUpgrade } from "./upgrade/type-upgrade.ts";
import type { TypeUpgradeSettings } from "./upgrade/type-upgrade.ts";
import { World } from "./world.ts";

export interface MicSettings extends TermSettings {
  /** The Lease, and aad-pod-identity's lock besides. */
  readonly lease: LeadershipSettings;
  /** Most of the random pause before anything is listed; 0 when absent. */
  readonly startJitterMs?: number;
  /** Objects from before 1.6 are rewritten; undefined: they are not. */
  readonly typeUpgrade?: TypeUpgradeSettings | undefined;
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
  /** Absent: nothing is traced. */
  readonly tracing?: Tracing;
  /** Whether podid is being uninstalled; never when absent. */
  readonly lifecycle?: NonNullable<TermPorts["lifecycle"]>;
}

/** How long an unanswered question about the CRDs waits for the next attempt. */
const ASK_AGAIN_MS = 5000;

/** Events that tell of a term are sent before its lease is given up, but nobody waits longer for them. */
const LAST_EVENTS_MS = 1000;

/** The managed identity controller in one process: warm caches always, work while it leads. */
export class Mic {
  readonly #ports: MicPorts;
  #settings: MicSettings;
  readonly #world: World;
  readonly #caches: Caches;
  readonly #leadership: Leadership;
  readonly #events: EventRecorder;
  readonly #log: Logger;
  /** Outlives the terms: ARM counts what this process asks, whether it leads or not. */
  readonly #armMemory: GuardMemory;
  readonly #stopping = new AbortController();
  #term: { readonly work: Term; readonly over: AbortController } | undefined;
  #started: Promise<void> | undefined;
  /** Why the process would better be started anew. */
  #dead: string | undefined;

  constructor(ports: MicPorts, settings: MicSettings) {
    const { transport, leases = transport, metrics, log, clock, random } = ports;
    this.#ports = {
      ...ports,
      transport: fencedTransport(transport, () => (settings.dryRun ? "this is a dry run" : this.#leadership.fenced())),
    };
    this.#settings = settings;
    this.#log = log;
    this.#armMemory = new GuardMemory({
      clock,
      ...(settings.armBudget !== undefined && { budget: settings.armBudget }),
    });
    this.#world = new World({ forceNamespaced: settings.forceNamespaced });
    this.#caches = new Caches({ transport, world: this.#world, log, clock, random });
    this.#events = new EventRecorder({ transport: this.#ports.transport, component: EVENT_COMPONENT, clock });
    this.#leadership = new Leadership({
      ...settings.lease,
      transport: leases,
      clock,
      random,
      log,
      onStarted: () => {
        metrics.elected();
        this.#begin();
      },
      onStopped: async () => {
        if (!this.#stopping.signal.aborted) log.error({}, "lost leader lease");
        await this.#end();
        await this.#events.flush({ timeoutMs: LAST_EVENTS_MS });
      },
    });
    metrics.gauge("leader", "1 while this process leads", () => (this.isActive ? 1 : 0));
    metrics.gauge(
      "queue_depth",
      "Keys that wait in the work queues",
      () => this.#term?.work.queueDepths ?? {},
      "queue",
    );
    metrics.gauge(
      "watch_staleness_seconds",
      "Time since the API server last proved a cache current",
      () => this.#caches.staleSeconds,
      "cache",
    );
    armGauges(metrics, () => this.#term?.work);
  }

  /** Starts to watch, and to stand for election once all caches are complete. */
  start(): void {
    this.#started ??= this.#start();
  }

  /** Ends the work, tells its last events, releases the lease, stops watching. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error("MIC is stopping"));
    await this.#started;
    await this.#leadership.stop();
    await this.#end();
    await this.#caches.stop();
  }

  /**
   * Azure answers to another credential from now on: what failed is tried again at once. Where other identities are to be protected
   * from being detached, a leader begins its term anew.
   */
  async accessChanged(protectedIdentities: readonly string[]): Promise<void> {
    const same = protectedIdentities.join() === this.#settings.protectedIdentities.join();
    this.#settings = { ...this.#settings, protectedIdentities };
    if (same) {
      this.#term?.work.lookAgain();
      return;
    }
    if (this.#term === undefined) return;
    await this.#end();
    // Meanwhile the lease may have been lost, and even come back with a term of its own.
    const mayBegin = this.#settings.dryRun || this.#leadership.isLeader;
    if (this.#term === undefined && mayBegin && !this.#stopping.signal.aborted) this.#begin();
  }

  /** Upstream's answer on `/healthz`. */
  healthz(): string {
    return this.isActive ? "Active" : "Not Active";
  }

  get isActive(): boolean {
    return this.#leadership.isLeader && this.#term !== undefined;
  }

  /** Readiness: a stand-by is ready when its caches are complete, because only then can it take over. */
  get ready(): Checks {
    return {
      caches: () => this.#caches.missing,
      running: () => (this.#stopping.signal.aborted ? "shutting down" : undefined),
    };
  }

  /** Liveness. */
  get live(): Checks {
    return { work: () => this.#dead };
  }

  #begin(): void {
    const over = new AbortController();
    const { log } = this.#ports;
    const { typeUpgrade, dryRun } = this.#settings;
    const work = new Term(
      {
        ...this.#ports,
        world: this.#world,
        armMemory: this.#armMemory,
        events: this.#events,
        fenced: () => {
          if (over.signal.aborted) return "the term is over";
          return dryRun ? undefined : this.#leadership.fenced();
        },
        epoch: () => this.#leadership.epoch,
      },
      this.#settings,
    );
    this.#term = { work, over };
    work.start().catch((error: unknown) => {
      this.#dead = `could not begin to lead: ${String(error)}`;
      log.error({ error: String(error) }, "could not begin to lead");
    });
    if (typeUpgrade !== undefined && !dryRun) void new TypeUpgrade(this.#ports, typeUpgrade).run(over.signal);
  }

  async #end(): Promise<void> {
    const term = this.#term;
    this.#term = undefined;
    term?.over.abort(new Error("the term is over"));
    await term?.work.stop();
  }

  async #start(): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, random } = this.#ports;
    await pause(clock, random() * (this.#settings.startJitterMs ?? 0), signal);
    if (signal.aborted) return;
    this.#caches.start();
    void this.#tellOfDefinitions();
    const since = performance.now();
    try {
      await this.#caches.whenSynced(signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.#log.info({}, `pod cache synchronized. Took ${((performance.now() - since) / 1000).toFixed(3)}s`);
    this.#log.info({}, "CRD informers started");
    if (this.#settings.dryRun) {
      // A Lease would keep those from working who really attach: this one only says what it would do.
      this.#log.info({}, "dry run: nothing is written, and nobody is elected");
      this.#begin();
      return;
    }
    this.#log.info({}, "initiating MIC Leader election");
    this.#leadership.start();
  }

  /** What does not work because the CRDs are aad-pod-identity's is said once, with the remedy. */
  async #tellOfDefinitions(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const problem = crdProblem(await readCrdSupport(this.#ports.transport, signal));
        if (problem !== undefined) this.#log.warn({}, problem);
        return;
      } catch {
        await pause(this.#ports.clock, ASK_AGAIN_MS, signal);
      }
    }
  }
}
