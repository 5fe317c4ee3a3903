import { delay, elapsedClock, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { KubeError } from "./kube-error.ts";
import { heldSpec, LeaseObserver, releasedSpec } from "./lease.ts";
import type { Lease } from "./lease.ts";
import { ResourceClient } from "./resource-client.ts";
import { RESOURCES } from "./resource.ts";
import { silentLog } from "./transport.ts";
import type { KubeTransport, Log } from "./transport.ts";

export interface LeaderElectorOptions {
  readonly transport: KubeTransport;
  /** Where the Lease is, and its name. */
  readonly namespace: string;
  readonly name: string;
  /** Unique per process, such as the pod's name and a random part. */
  readonly identity: string;
  /** How long a leader that died blocks the others. */
  readonly leaseDurationMs: number;
  /** A leader that could not renew for this long stops. Default two thirds of the duration; must be shorter than it. */
  readonly renewDeadlineMs?: number | undefined;
  /** The leader renews at this pace: one PUT each. Default 2 000, less for a short lease. */
  readonly retryPeriodMs?: number | undefined;
  /** Who waits asks at this pace: one GET each, two a second per stand-by by default. A released lease is taken that fast. */
  readonly pollPeriodMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** In [0, 1). */
  readonly random?: (() => number) | undefined;
  /** The signal aborts when leadership ends; everything done as leader must obey it. */
  readonly onStartedLeading: (signal: AbortSignal) => void;
  /** Once per loss, after the signal. On {@link LeaderElector.stop} the lease is released when its promise resolves. */
  readonly onStoppedLeading: () => void | Promise<void>;
  /** Whenever another holder is seen, this process included. */
  readonly onNewLeader?: ((identity: string) => void) | undefined;
  readonly log?: Log | undefined;
}

interface Term {
  readonly epoch: number;
  readonly abort: AbortController;
}

/**
 * Leader election by a Lease, with client-go's rules, so that both can stand for the same one.
 *
 * At most one process believes to lead: others take a lease only after they saw it unchanged for its whole duration on
 * their own clock, and the holder stops at the renew deadline, which it counts from before it sent its last good renewal.
 * A loser stands for election again. Needs `get`, `create` and `update` on the Lease.
 */
export class LeaderElector {
  readonly #o: LeaderElectorOptions;
  readonly #client: ResourceClient<Lease>;
  readonly #clock: Clock;
  readonly #elapsed: () => number;
  readonly #log: Log;
  readonly #renewDeadlineMs: number;
  readonly #renewPeriodMs: number;
  readonly #observer = new LeaseObserver();
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #lease: Lease | undefined;
  #term: Term | undefined;
  #renewedAt = 0;
  #renewedAtWall = 0;
  #deadline: { cancel(): void } | undefined;
  #leader = "";
  #epoch = -1;
  /** What the last loss has still to wind up, before the next term may begin. */
  #ending: Promise<void> = Promise.resolve();
  /** A write went out and no answer came: it may have been carried out. */
  #unanswered = false;

  /** Throws a RangeError when the periods do not fit. */
  constructor(options: LeaderElectorOptions) {
    const { leaseDurationMs, renewDeadlineMs = (leaseDurationMs * 2) / 3 } = options;
    const retryPeriodMs = options.retryPeriodMs ?? Math.min(2_000, renewDeadlineMs / 3);
    if (!(retryPeriodMs > 0 && retryPeriodMs < renewDeadlineMs && renewDeadlineMs < leaseDurationMs))
      throw new RangeError(
        `lease periods are retry ${retryPeriodMs} ms, renew deadline ${renewDeadlineMs} ms, duration ${leaseDurationMs} ms; make each shorter than the next`,
      );
    this.#o = options;
    this.#renewDeadlineMs = renewDeadlineMs;
    this.#renewPeriodMs = retryPeriodMs;
    this.#client = new ResourceClient<Lease>(options.transport, RESOURCES.leases);
    this.#clock = options.clock ?? systemClock;
    this.#elapsed = elapsedClock(this.#clock);
    this.#log = options.log ?? silentLog;
  }

  /** True while this process leads; false at once when the lease ran out while the process was suspended. */
  get isLeader(): boolean {
    return this.remainingMs() > 0;
  }

  /** The lease's number of transitions: rises with every change of leader. Of the last own term once it is over. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Who holds the lease, as last seen; empty when nobody does. */
  get leader(): string {
    return this.#leader;
  }

  /**
   * How long nobody else can lead; 0 when this process does not lead. By the monotonic clock and by the wall clock, whichever says
   * less: the one stands still while a machine is suspended, the other may be set back.
   */
  remainingMs(): number {
    if (!this.#term) return 0;
    const passed = Math.max(this.#elapsed() - this.#renewedAt, this.#clock.now() - this.#renewedAtWall);
    return Math.max(0, this.#o.leaseDurationMs - passed);
  }

  start(): void {
    if (this.#stopped.signal.aborted) throw new Error("the leader elector was stopped; make a new one");
    this.#running ??= this.#run(this.#stopped.signal);
  }

  /** Ends leadership (`onStoppedLeading` is awaited while the lease lasts), then releases the lease. */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    this.#stopped.abort(new Error("the leader elector was stopped"));
    await this.#running;
    const ended = new AbortController();
    const left = this.remainingMs();
    void this.#endTerm("stopped").then(() => ended.abort());
    await delay(this.#clock, left, ended.signal);
    if (left > 0 || this.#unanswered) await this.#release();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { pollPeriodMs = 500, random = Math.random } = this.#o;
    while (!signal.aborted) {
      try {
        if (this.#term) await this.#renew(signal);
        else {
          await this.#ending;
          await this.#tryAcquire(signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#log.warn(
          { lease: this.#o.name, error: String(error), leading: this.#term !== undefined },
          "lease request failed",
        );
      }
      const period = this.#term ? this.#renewPeriodMs : pollPeriodMs;
      await delay(this.#clock, period * (1 + random() / 5), signal);
    }
  }

  async #tryAcquire(signal: AbortSignal): Promise<void> {
    const { namespace, name, identity, leaseDurationMs } = this.#o;
    const timeoutMs = this.#renewDeadlineMs;
    let lease: Lease | undefined;
    try {
      lease = await this.#client.get(name, namespace, { signal, timeoutMs });
    } catch (error) {
      if (!KubeError.is(error, 404)) throw error;
    }
    if (lease) this.#saw(lease);
    const foreign = lease && this.#observer.holder !== "" && this.#observer.holder !== identity;
    if (foreign && !this.#observer.isOver(this.#elapsed(), leaseDurationMs)) return;
    if (signal.aborted) return;
    const sentAt = this.#elapsed();
    const sentAtWall = this.#clock.now();
    const spec = heldSpec(lease?.spec, {
      identity,
      durationMs: leaseDurationMs,
      now: this.#clock.now(),
      acquiring: true,
    });
    const taken = await this.#write(() =>
      lease
        ? this.#client.update({ ...lease, spec }, { signal, timeoutMs })
        : this.#client.create({ metadata: { name, namespace }, spec }, { signal, timeoutMs }),
    );
    if (!taken) return;
    this.#lease = taken;
    if (signal.aborted) this.#unanswered = true;
    else if (this.#elapsed() - sentAt < this.#renewDeadlineMs) this.#beginTerm(taken, sentAt, sentAtWall);
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { namespace, name, identity, leaseDurationMs } = this.#o;
    const term = this.#term;
    const sentAt = this.#elapsed();
    const sentAtWall = this.#clock.now();
    const timeoutMs = Math.max(1, this.#renewedAt + this.#renewDeadlineMs - sentAt);
    const held = this.#lease!;
    const spec = heldSpec(held.spec, {
      identity,
      durationMs: leaseDurationMs,
      now: this.#clock.now(),
      acquiring: false,
    });
    const renewed = await this.#write(() => this.#client.update({ ...held, spec }, { signal, timeoutMs }));
    if (term !== this.#term) return;
    if (renewed) return this.#renewed(renewed, sentAt, sentAtWall);
    // Somebody wrote the object: an annotation, or another holder. Or it is gone, and free for the first who makes it.
    const current = await this.#client.get(name, namespace, { signal, timeoutMs }).catch((error: unknown) => {
      if (KubeError.is(error, 404)) return undefined;
      throw error;
    });
    if (term !== this.#term) return;
    if (current) this.#saw(current);
    const still = current?.spec?.holderIdentity === identity && (current.spec.leaseTransitions ?? 0) === term?.epoch;
    if (!current || !still)
      return void this.#endTerm(current ? `lost to ${JSON.stringify(this.#leader)}` : "the lease was deleted");
    this.#lease = current;
    await this.#renew(signal);
  }

  /** Undefined when somebody else was faster. */
  async #write(write: () => Promise<Lease>): Promise<Lease | undefined> {
    this.#unanswered = true;
    try {
      const lease = await write();
      this.#unanswered = false;
      return lease;
    } catch (error) {
      if (error instanceof KubeError && error.status !== 0) this.#unanswered = false;
      if (KubeError.is(error, 404, 409)) return undefined;
      throw error;
    }
  }

  #beginTerm(lease: Lease, sentAt: number, sentAtWall: number): void {
    const term = { epoch: lease.spec?.leaseTransitions ?? 0, abort: new AbortController() };
    this.#term = term;
    this.#epoch = term.epoch;
    this.#renewed(lease, sentAt, sentAtWall);
    if (this.#term !== term) return;
    this.#log.info({ lease: this.#o.name, epoch: term.epoch }, "started leading");
    void this.#call(() => this.#o.onStartedLeading(term.abort.signal));
  }

  #renewed(lease: Lease, sentAt: number, sentAtWall: number): void {
    this.#lease = lease;
    this.#renewedAt = sentAt;
    this.#renewedAtWall = sentAtWall;
    this.#saw(lease);
    this.#deadline?.cancel();
    const left = sentAt + this.#renewDeadlineMs - this.#elapsed();
    this.#deadline = this.#clock.setTimeout(() => void this.#endTerm("not renewed in time"), Math.max(0, left));
  }

  #endTerm(why: string): Promise<void> {
    const term = this.#term;
    if (!term) return Promise.resolve();
    this.#term = undefined;
    this.#deadline?.cancel();
    this.#log.warn({ lease: this.#o.name, epoch: term.epoch, why }, "stopped leading");
    term.abort.abort(new Error(`no longer leader: ${why}`));
    return (this.#ending = this.#call(() => this.#o.onStoppedLeading()));
  }

  async #release(): Promise<void> {
    const { namespace, name, identity } = this.#o;
    const timeoutMs = this.#renewDeadlineMs;
    try {
      // A write that was cut off may have changed the version, so the stored object decides.
      const held =
        this.#unanswered || !this.#lease ? await this.#client.get(name, namespace, { timeoutMs }) : this.#lease;
      if (held.spec?.holderIdentity !== identity) return;
      await this.#client.update({ ...held, spec: releasedSpec(held.spec, this.#clock.now()) }, { timeoutMs });
    } catch (error) {
      this.#log.warn({ lease: name, error: String(error) }, "could not release the lease; it ends by itself");
    }
  }

  #saw(lease: Lease): void {
    this.#observer.observe(lease, this.#elapsed());
    const { holder } = this.#observer;
    if (holder === this.#leader) return;
    this.#leader = holder;
    if (holder !== "") void this.#call(() => this.#o.onNewLeader?.(holder));
  }

  async #call(callback: () => void | Promise<void>): Promise<void> {
    try {
      await callback();
    } catch (error) {
      this.#log.error({ lease: this.#o.name, error: String(error) }, "a leader election callback threw");
    }
  }
}
