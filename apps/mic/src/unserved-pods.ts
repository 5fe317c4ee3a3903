import type { Clock, EventRecorder } from "@podid/kube";
import type { BindingRecord, Denial, DenialReason } from "@podid/matcher";
import type { Logger } from "@podid/service";
import type { World } from "./world.ts";

export interface UnservedPodsOptions {
  readonly world: World;
  readonly events: Pick<EventRecorder, "record">;
  readonly log: Logger;
  readonly clock: Clock;
  /** Log only. */
  readonly dryRun: boolean;
}

/** Mistakes that nobody would notice before the pod's first request; the other reasons are transient, or somebody's intention. */
const EVENT_REASONS: Partial<Readonly<Record<DenialReason, string>>> = {
  "pod-host-network": "PodHostNetwork",
  "identity-invalid": "IdentityInvalid",
};

/** Why a labelled pod gets nothing, as aad-pod-identity says it; with pods that have ended, or are not meant, it would be too much. */
const LOGGED: ReadonlySet<DenialReason> = new Set([
  "pod-not-scheduled",
  "pod-not-labelled",
  "no-binding",
  "identity-missing",
]);

/** Identities and bindings come in bursts, and what they change is looked up once. */
const SETTLE_MS = 500;

/** Tells why labelled pods get nothing: the matcher's words, once per pod and reason. */
export class UnservedPods {
  readonly #o: UnservedPodsOptions;
  /** `uid reason` */
  readonly #told = new Set<string>();
  #unsubscribe: (() => void) | undefined;
  #soon: { cancel(): void } | undefined;

  constructor(options: UnservedPodsOptions) {
    this.#o = options;
  }

  start(): void {
    const { world, clock } = this.#o;
    this.#unsubscribe = world.onUnserved((podUid, lost) => {
      if (podUid !== undefined) this.#look(podUid, lost);
      else this.#soon ??= clock.setTimeout(() => this.lookAtAll(), SETTLE_MS);
    });
    this.lookAtAll();
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#soon?.cancel();
  }

  /** Also forgets what was told of pods that are served now, or gone. */
  lookAtAll(): void {
    this.#soon?.cancel();
    this.#soon = undefined;
    const unserved = new Set(this.#o.world.unserved());
    for (const told of this.#told) if (!unserved.has(told.slice(0, told.indexOf(" ")))) this.#told.delete(told);
    for (const uid of unserved) this.#look(uid, false);
  }

  #look(podUid: string, lost: boolean): void {
    const { world, events, log, dryRun } = this.#o;
    const { pod, denial, selector, nearMisses } = world.matcher.explain(podUid);
    if (pod === undefined || denial === undefined) return;
    const key = `${podUid} ${denial.reason}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    const { namespace, name, uid } = pod;
    const fields = { pod: `${namespace}/${name}`, reason: denial.reason };
    const [type, reason, message] = this.#news(denial, selector, nearMisses, lost);
    if (reason === undefined) return log[LOGGED.has(denial.reason) ? "info" : "debug"](fields, denial.message);
    log[type === "Warning" ? "warn" : "info"](fields, message);
    if (dryRun) return;
    const involvedObject = { apiVersion: "v1", kind: "Pod", metadata: { namespace, name, uid } };
    events.record({ involvedObject, type, reason, message });
  }

  #news(
    { reason, message }: Denial,
    selector: string | undefined,
    [miss]: readonly BindingRecord[],
    lost: boolean,
  ): readonly ["Normal" | "Warning", string | undefined, string] {
    // Jobs end all the time: only those that had an identity are worth an event.
    if (reason === "pod-finished") return ["Normal", lost ? "PodFinished" : undefined, message];
    if (reason === "no-binding" && miss !== undefined) {
      const near = `AzureIdentityBinding ${miss.namespace}/${miss.name} has selector ${JSON.stringify(miss.selector)}, the label is ${JSON.stringify(selector)}: they are compared exactly`;
      return ["Warning", "SelectorCasing", `${message}. ${near}`];
    }
    return ["Warning", EVENT_REASONS[reason], message];
  }
}
