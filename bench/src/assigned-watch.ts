import { until } from "@podid/e2e/until";
import { Reflector, RESOURCES } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";

interface Seen {
  readonly pod: string;
  readonly isAssigned: boolean;
}

/** Follows the AzureAssignedIdentities: which pods have theirs, and since when. */
export class AssignedWatch {
  readonly #reflector: Reflector<Seen>;
  readonly #since = new Map<string, number>();

  constructor(transport: KubeTransport) {
    this.#reflector = new Reflector<Seen>({
      transport,
      resource: RESOURCES.azureAssignedIdentities,
      useWatchList: true,
      project: ({ spec, status }) => ({
        pod: String((spec as { pod?: string }).pod),
        isAssigned: (status as { status?: string } | undefined)?.status === "Assigned",
      }),
    });
    this.#reflector.subscribe({
      upsert: (_key, { pod, isAssigned }) => {
        if (!isAssigned) this.#since.delete(pod);
        else if (!this.#since.has(pod)) this.#since.set(pod, performance.now());
      },
      delete: (_key, { pod }) => this.#since.delete(pod),
    });
    this.#reflector.start();
  }

  ready(): Promise<void> {
    return this.#reflector.whenSynced();
  }

  /** By pod name, on the clock of `performance.now()`. For pods with one identity. */
  get since(): ReadonlyMap<string, number> {
    return this.#since;
  }

  until(count: number, timeoutMs: number): Promise<true> {
    return until(
      `${count} pods have their identities`,
      () => (this.#since.size >= count ? Promise.resolve(true) : Promise.reject(new Error(`${this.#since.size} have`))),
      timeoutMs,
    );
  }

  stop(): Promise<void> {
    return this.#reflector.stop();
  }
}
