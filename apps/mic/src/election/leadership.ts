import { LeaderElector } from "@podid/kube";
import type { Clock, KubeTransport } from "@podid/kube";
import type { Logger } from "@podid/service";
import { pause } from "../pause.ts";
import { EndpointsLock } from "./endpoints-lock.ts";

export interface LeadershipSettings {
  /** The Lease. */
  readonly namespace: string;
  readonly name: string;
  /** Unique per process. */
  readonly identity: string;
  readonly durationMs: number;
  /** Namespace of aad-pod-identity's lock, which has the Lease's name; undefined: it is not looked for. */
  readonly upstreamNamespace?: string | undefined;
}

export interface LeadershipOptions extends LeadershipSettings {
  readonly transport: KubeTransport;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly onStarted: () => void;
  /** Once per loss. On {@link Leadership.stop} the locks are released when its promise resolves. */
  readonly onStopped: () => Promise<void>;
}

/** With less of the lease left than this nothing new is begun: a request must reach its server before another may lead. */
const MARGIN_MS = 2000;

/** Nobody makes aad-pod-identity's lock in a cluster that has none but an installation of it, which takes longer than this. */
const ABSENT_LOOK_MS = 5000;

/** Who leads: the holder of the Lease, and of aad-pod-identity's lock too where there is one. */
export class Leadership {
  readonly #o: LeadershipOptions;
  readonly #elector: LeaderElector;
  readonly #lock: EndpointsLock | undefined;
  /** Holders of the Lease that were seen. */
  readonly #holders = new Set<string>();
  #holding: Promise<void> = Promise.resolve();
  #leading = false;

  constructor(options: LeadershipOptions) {
    const { transport, namespace, name, identity, durationMs, upstreamNamespace, clock, random, log } = options;
    this.#o = options;
    this.#lock =
      upstreamNamespace === undefined
        ? undefined
        : new EndpointsLock({
            transport,
            namespace: upstreamNamespace,
            name,
            identity,
            durationMs,
            clock,
            log,
            isSuperseded: (holder) => this.#holders.has(holder),
          });
    this.#elector = new LeaderElector({
      transport,
      namespace,
      name,
      identity,
      leaseDurationMs: durationMs,
      clock,
      random,
      log,
      onNewLeader: (leader) => {
        this.#holders.add(leader);
        log.info({ leader }, `new leader elected: ${leader}`);
      },
      onStartedLeading: (signal) => {
        this.#holding = this.#hold(signal);
      },
      onStoppedLeading: () => this.#holding,
    });
  }

  start(): void {
    this.#elector.start();
  }

  /** Ends leadership, then releases the locks. */
  stop(): Promise<void> {
    return this.#elector.stop();
  }

  get isLeader(): boolean {
    return this.#leading && this.remainingMs() > 0;
  }

  /** The Lease's holder, as last seen. */
  get leader(): string {
    return this.#elector.leader;
  }

  /** Rises with every change of leader. */
  get epoch(): number {
    return this.#elector.epoch;
  }

  /** How long nobody else can lead. */
  remainingMs(): number {
    return Math.min(this.#elector.remainingMs(), this.#lock?.remainingMs() ?? Infinity);
  }

  /** Why nothing may be written any more, asked before every write; undefined while leading safely. */
  fenced(): string | undefined {
    const left = this.remainingMs();
    if (left <= 0) return "another instance may lead by now";
    return left < Math.min(MARGIN_MS, this.#o.durationMs / 5) ? "the lease is about to run out" : undefined;
  }

  /** Why a holder of the Lease does not work; undefined when it does, or need not. */
  get waitingFor(): string | undefined {
    const holder = this.#lock?.waitingFor;
    return holder === undefined ? undefined : `aad-pod-identity's MIC ${holder} leads`;
  }

  /** One term by the Lease: work while the other lock allows it. */
  async #hold(signal: AbortSignal): Promise<void> {
    const { clock, durationMs } = this.#o;
    while (!signal.aborted) {
      await this.#lock?.refresh(signal);
      if (signal.aborted) break;
      // The Lease is the elector's business: it aborts the signal.
      await this.#lead((this.#lock?.remainingMs() ?? Infinity) > 0);
      if (this.#lock === undefined) await aborted(signal);
      else {
        const absent = this.#lock.remainingMs() === Infinity;
        await pause(clock, absent ? Math.min(ABSENT_LOOK_MS, durationMs / 3) : Math.min(2000, durationMs / 6), signal);
      }
    }
    await this.#lead(false);
    await this.#lock?.release();
  }

  async #lead(lead: boolean): Promise<void> {
    if (lead === this.#leading) return;
    this.#leading = lead;
    if (lead) this.#o.onStarted();
    else await this.#o.onStopped();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
