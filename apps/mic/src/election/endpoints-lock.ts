import { KubeError, ResourceClient, RESOURCES } from "@podid/kube";
import type { Clock, KubeObject, KubeTransport } from "@podid/kube";
import type { Logger } from "@podid/service";
import { readRecord, RECORD_ANNOTATION, writtenRecord } from "./leader-record.ts";
import type { LeaderRecord } from "./leader-record.ts";

export interface EndpointsLockOptions {
  readonly transport: KubeTransport;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly durationMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether a holder is one of ours, which lost its Lease and so needs not be waited for. */
  readonly isSuperseded: (holder: string) => boolean;
}

/** What stands behind {@link EndpointsLock.remainingMs}. */
type State =
  /** Not asked yet, or somebody else holds it. */
  | { readonly kind: "foreign" }
  /** There is none, and none is made. */
  | { readonly kind: "absent" }
  | { readonly kind: "held"; readonly since: { readonly elapsed: number; readonly wall: number } };

/**
 * The lock by which aad-pod-identity's MICs elect their leader: a record in an annotation of an Endpoints object. As long as that
 * object exists, podid's leader holds it too, by client-go's rules, so that an old MIC that still runs or is rolled back to does
 * nothing meanwhile. Where it does not exist it is not made. Needs `get` and `update` on the one object.
 */
export class EndpointsLock {
  readonly #o: EndpointsLockOptions;
  readonly #client: ResourceClient;
  #state: State = { kind: "foreign" };
  /** The record as last seen, and when it changed last by our own clock. */
  #seen: { readonly text: string; readonly at: number } | undefined;
  #waitingFor: string | undefined;
  #toldForbidden = false;

  constructor(options: EndpointsLockOptions) {
    this.#o = options;
    this.#client = new ResourceClient(options.transport, RESOURCES.endpoints);
  }

  /** How long no MIC of aad-pod-identity can lead, as far as is known; 0 while one may. */
  remainingMs(): number {
    if (this.#state.kind === "foreign") return 0;
    if (this.#state.kind === "absent") return Infinity;
    const { elapsed, wall } = this.#state.since;
    const passed = Math.max(this.#elapsed() - elapsed, this.#o.clock.now() - wall);
    return Math.max(0, this.#o.durationMs - passed);
  }

  /** Who is waited for; undefined when nobody is. */
  get waitingFor(): string | undefined {
    return this.#waitingFor;
  }

  /** Looks, and takes or renews the lock if that is allowed. Failures leave things as they are: what is held runs out by itself. */
  async refresh(signal: AbortSignal): Promise<void> {
    const { name, namespace, log, durationMs } = this.#o;
    const timeoutMs = (durationMs * 2) / 3;
    let object: KubeObject;
    try {
      object = await this.#client.get(name, namespace, { signal, timeoutMs });
    } catch (error) {
      if (signal.aborted) return;
      if (KubeError.is(error, 404)) this.#absent();
      else if (KubeError.is(error, 403)) this.#forbidden(error);
      else
        log.warn(
          { endpoints: `${namespace}/${name}`, error: String(error) },
          "aad-pod-identity's lock could not be read",
        );
      return;
    }
    const record = readRecord(object);
    const holder = record?.holderIdentity ?? "";
    if (!this.#isFree(holder, record)) {
      if (this.#state.kind !== "foreign" || this.#waitingFor !== holder)
        log.warn(
          { endpoints: `${namespace}/${name}`, holder },
          `aad-pod-identity's MIC ${holder} leads; podid waits until it is gone`,
        );
      this.#state = { kind: "foreign" };
      this.#waitingFor = holder;
      return;
    }
    await this.#write(object, record, signal, timeoutMs);
  }

  /** Gives the lock back, if it is held. */
  async release(): Promise<void> {
    const { name, namespace, identity, log } = this.#o;
    const was = this.#state;
    this.#state = { kind: "foreign" };
    if (was.kind !== "held") return;
    try {
      const object = await this.#client.get(name, namespace, { timeoutMs: 5000 });
      const record = readRecord(object);
      if (record?.holderIdentity !== identity) return;
      const released = writtenRecord(record, { identity: "", durationMs: 1000, now: this.#o.clock.now() });
      await this.#client.update(withRecord(object, released), { timeoutMs: 5000 });
    } catch (error) {
      log.warn(
        { endpoints: `${namespace}/${name}`, error: String(error) },
        "could not release aad-pod-identity's lock; it ends by itself",
      );
    }
  }

  async #write(
    object: KubeObject,
    record: LeaderRecord | undefined,
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<void> {
    const { identity, durationMs, clock, log, name, namespace } = this.#o;
    const since = { elapsed: this.#elapsed(), wall: clock.now() };
    try {
      const mine = writtenRecord(record, { identity, durationMs, now: since.wall });
      await this.#client.update(withRecord(object, mine), { signal, timeoutMs });
    } catch (error) {
      // Somebody was faster; the next look tells who.
      if (!signal.aborted && !KubeError.is(error, 404, 409))
        log.warn(
          { endpoints: `${namespace}/${name}`, error: String(error) },
          "aad-pod-identity's lock could not be taken",
        );
      return;
    }
    if (this.#state.kind !== "held")
      log.info({ endpoints: `${namespace}/${name}` }, "holding aad-pod-identity's lock as well as the Lease");
    this.#state = { kind: "held", since };
    this.#waitingFor = undefined;
  }

  #absent(): void {
    this.#state = { kind: "absent" };
    this.#waitingFor = undefined;
    this.#seen = undefined;
  }

  /** Nobody who runs podid without that right can have upgraded with its chart; that aad-pod-identity leads besides is unlikely. */
  #forbidden(error: KubeError): void {
    if (!this.#toldForbidden)
      this.#o.log.warn(
        { error: error.message },
        "may not look for aad-pod-identity's lock; make sure that its MIC does not run",
      );
    this.#toldForbidden = true;
    this.#absent();
  }

  #isFree(holder: string, record: LeaderRecord | undefined): boolean {
    const text = JSON.stringify(record ?? {});
    const now = this.#elapsed();
    if (this.#seen?.text !== text) this.#seen = { text, at: now };
    if (holder === "" || holder === this.#o.identity || this.#o.isSuperseded(holder)) return true;
    const durationMs =
      record?.leaseDurationSeconds === undefined ? this.#o.durationMs : record.leaseDurationSeconds * 1000;
    return now >= this.#seen.at + durationMs;
  }

  #elapsed(): number {
    const { clock } = this.#o;
    return clock.monotonic?.() ?? clock.now();
  }
}

function withRecord(object: KubeObject, record: LeaderRecord): KubeObject {
  const annotations = { ...object.metadata.annotations, [RECORD_ANNOTATION]: JSON.stringify(record) };
  return { ...object, metadata: { ...object.metadata, annotations } };
}
