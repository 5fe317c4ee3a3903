import { API_VERSION, KINDS } from "@podid/crd-types";
import { KubeError, ResourceClient, RESOURCES, WorkQueue } from "@podid/kube";
import type { Clock, EventRecorder, KubeTransport } from "@podid/kube";
import type { Logger } from "@podid/service";
import { FENCED_MS } from "../fenced.ts";
import { readCrdSupport } from "../crd-support.ts";
import type { DefinitionKind } from "../definitions.ts";
import type { Protection } from "../groups/protection.ts";
import type { World } from "../world.ts";
import { nextStatus } from "./conditions.ts";
import type { Verdict } from "./conditions.ts";
import { ObjectVerdicts } from "./object-verdicts.ts";
import type { ObjectReport } from "./object-verdicts.ts";
import type { ScopeSummary } from "./scope-summary.ts";
import { Tally } from "./tally.ts";

export interface StatusReporterOptions {
  readonly world: World;
  readonly transport: KubeTransport;
  readonly events: Pick<EventRecorder, "record">;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  /** Why nothing may be written. */
  readonly fenced: () => string | undefined;
  /** Log only. */
  readonly dryRun: boolean;
  readonly protection: Pick<Protection, "named">;
  /** Of the cluster's ServiceAccount tokens, if known. */
  readonly issuer?: (() => string | undefined) | undefined;
  readonly timing?: Partial<StatusTiming>;
}

export interface StatusTiming {
  /** Objects come in bursts; what they amount to is said once. */
  readonly settleMs: number;
  /** At most one write per object in this time: each goes to every NMI of the cluster. */
  readonly intervalMs: number;
  /** How often everything is compared again, and the CRDs are asked whether they have statuses by now. */
  readonly sweepMs: number;
}

const TIMING: StatusTiming = { settleMs: 1000, intervalMs: 30_000, sweepMs: 300_000 };

const KINDS_WITH_STATUS: readonly DefinitionKind[] = ["AzureIdentity", "AzureIdentityBinding"];

/** Mistakes of whoever wrote the object: told by an event as well, which all CRDs can have. */
const EVENT_REASONS: ReadonlySet<string> = new Set([
  "AzureIdentityMissing",
  "ClientIDMismatch",
  "ClientIDMissing",
  "DuplicateIdentityName",
  "InvalidResourceID",
  "InvalidSpec",
  "NodeIdentity",
  "NoSuchNodePool",
  "SecretMissing",
  "SelectorCasing",
  "SelectorEmpty",
  "TenantIDMissing",
  "UnsupportedType",
]);

/** Keeps the statuses of AzureIdentities and AzureIdentityBindings true while this process leads. */
export class StatusReporter {
  readonly #o: StatusReporterOptions;
  readonly #timing: StatusTiming;
  readonly #tally = new Tally();
  readonly #verdicts: ObjectVerdicts;
  readonly #clients: Readonly<Record<DefinitionKind, ResourceClient>>;
  /** `kind namespace/name` */
  readonly #queue: WorkQueue;
  readonly #writtenAt = new Map<string, number>();
  readonly #told = new Map<string, string>();
  readonly #stopped = new AbortController();
  #supported: ReadonlySet<DefinitionKind> = new Set();
  #refused = false;
  #unsubscribe: (() => void) | undefined;
  #sweep: { cancel(): void } | undefined;

  constructor(options: StatusReporterOptions) {
    this.#o = options;
    this.#timing = { ...TIMING, ...options.timing };
    const { world, transport, clock, random, log } = options;
    this.#verdicts = new ObjectVerdicts({
      world,
      tally: this.#tally,
      protection: options.protection,
      issuer: options.issuer ?? (() => undefined),
    });
    this.#clients = {
      AzureIdentity: new ResourceClient(transport, RESOURCES.azureIdentities),
      AzureIdentityBinding: new ResourceClient(transport, RESOURCES.azureIdentityBindings),
    };
    this.#queue = new WorkQueue({
      concurrency: 5,
      handler: (key) => this.#report(key),
      clock,
      random,
      onError: (key, error, retryInMs) =>
        log.debug({ object: key, retryInMs, error: String(error) }, "status not written"),
    });
  }

  start(): void {
    this.#unsubscribe = this.#o.world.definitions.onChange((kind, key) => this.#touch(kind, key));
    this.#queue.start();
    void this.#lookAtAll();
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the term is over"));
    this.#unsubscribe?.();
    this.#sweep?.cancel();
    await this.#queue.stop({ graceMs: 2000 });
  }

  /** What bookkeeping found in one scope. */
  saw(scopeKey: string, summary: ScopeSummary): void {
    const { bindings, identities } = this.#tally.put(scopeKey, summary);
    for (const key of bindings) this.#touch("AzureIdentityBinding", key);
    for (const key of identities) this.#touch("AzureIdentity", key);
  }

  async #lookAtAll(): Promise<void> {
    const { world, transport, clock, log } = this.#o;
    try {
      const { status, pruned } = await readCrdSupport(transport, this.#stopped.signal);
      const keeps = (kind: DefinitionKind): boolean => !pruned.includes(`${KINDS[kind]} status.conditions`);
      this.#supported = new Set(KINDS_WITH_STATUS.filter((kind) => status.has(kind) && keeps(kind)));
    } catch (error) {
      log.debug({ error: String(error) }, "could not ask which CRDs have a status");
    }
    if (this.#stopped.signal.aborted) return;
    for (const [kind, key] of world.definitions.keys()) this.#touch(kind, key);
    this.#sweep = clock.setTimeout(() => void this.#lookAtAll(), this.#timing.sweepMs);
  }

  #touch(kind: DefinitionKind, key: string): void {
    const id = `${kind} ${key}`;
    this.#queue.addAfter(id, Math.max(this.#timing.settleMs, this.#waitMs(id)));
  }

  #waitMs(id: string): number {
    const { intervalMs } = this.#timing;
    return Math.max(0, (this.#writtenAt.get(id) ?? -intervalMs) + intervalMs - this.#o.clock.now());
  }

  async #report(id: string): Promise<{ readonly requeueAfterMs: number } | undefined> {
    const [kind, key] = id.split(" ", 2) as [DefinitionKind, string];
    const report = this.#verdicts.of(kind, key);
    if (report === undefined) {
      this.#writtenAt.delete(id);
      for (const told of this.#told.keys()) if (told.startsWith(`${id} `)) this.#told.delete(told);
      return undefined;
    }
    for (const verdict of report.verdicts) this.#tell(kind, id, report, verdict);
    if (this.#o.dryRun || this.#refused || !this.#supported.has(kind)) return undefined;
    const waitMs = this.#waitMs(id);
    if (waitMs > 0) return { requeueAfterMs: waitMs };
    const { written, verdicts, counts } = report;
    const status = nextStatus(written, verdicts, counts, this.#o.clock.now());
    if (status === undefined) return undefined;
    if (this.#o.fenced() !== undefined) return { requeueAfterMs: FENCED_MS };
    await this.#write(kind, id, report, status);
    return undefined;
  }

  async #write(kind: DefinitionKind, id: string, report: ObjectReport, status: object): Promise<void> {
    const { namespace, name, uid, resourceVersion } = report;
    this.#writtenAt.set(id, this.#o.clock.now());
    try {
      const body = { metadata: { uid, resourceVersion }, status };
      await this.#clients[kind].patch(name, namespace, { type: "merge", subresource: "status", body });
    } catch (error) {
      // Somebody changed or deleted it meanwhile: the watch tells of that, and then it is looked at again.
      if (KubeError.is(error, 404, 409)) return;
      if (!KubeError.is(error, 403)) throw error;
      this.#refused = true;
      this.#o.log.warn(
        { error: String(error) },
        "may not write the status of AzureIdentities and AzureIdentityBindings; grant patch on their status",
      );
    }
  }

  #tell(kind: DefinitionKind, id: string, report: ObjectReport, { type, status, reason, message }: Verdict): void {
    const topic = `${id} ${type}`;
    if (status === "True" || !EVENT_REASONS.has(reason)) {
      this.#told.delete(topic);
      return;
    }
    if (this.#told.get(topic) === message) return;
    this.#told.set(topic, message);
    const { namespace, name, uid } = report;
    const { log, events, dryRun } = this.#o;
    log.warn({ kind, object: `${namespace}/${name}`, reason }, message);
    if (dryRun) return;
    const involvedObject = { apiVersion: API_VERSION, kind, metadata: { namespace, name, uid } };
    events.record({ involvedObject, type: "Warning", reason, message });
  }
}
