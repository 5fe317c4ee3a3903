import { Reflector, RESOURCES } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import type { Logger } from "@podid/service";

/** The ConfigMap in which `helm uninstall` says what it is about to do. NMI reads it as well. */
export const LIFECYCLE_CONFIG_MAP = "podid-lifecycle";
/** Set to `true` on it, by the chart. */
export const LIFECYCLE_LABEL = "podid.dev/lifecycle";
export const UNINSTALLING = "uninstalling";
export const RUNNING = "running";

/** Whether podid is being uninstalled. Only what the ConfigMap says counts: its absence, and errors, say nothing. */
export class Lifecycle {
  readonly #reflector: Reflector<string>;
  readonly #listeners = new Set<() => void>();
  readonly #seenListeners = new Set<() => void>();
  #uninstalling = false;

  constructor(options: { readonly transport: KubeTransport; readonly namespace: string; readonly log: Logger }) {
    const { transport, namespace, log } = options;
    this.#reflector = new Reflector<string>({
      transport,
      resource: RESOURCES.configMaps,
      namespace,
      // By label: a right to watch one name would be a rule of its own beside that to list the ledgers.
      labelSelector: `${LIFECYCLE_LABEL}=true`,
      project: (object) => {
        const { phase } = (object["data"] ?? {}) as { readonly phase?: unknown };
        return typeof phase === "string" ? phase : "";
      },
      log,
    });
    this.#reflector.subscribe({
      upsert: (_key, phase) => {
        for (const listener of this.#seenListeners) listener();
        const uninstalling = phase === UNINSTALLING;
        if (uninstalling === this.#uninstalling) return;
        this.#uninstalling = uninstalling;
        log.warn(
          { phase },
          uninstalling
            ? "podid is being uninstalled: no binding counts any more, and what MIC attached is detached"
            : "podid is not being uninstalled any more: bindings count again",
        );
        for (const listener of this.#listeners) listener();
      },
      delete: () => undefined,
    });
  }

  get uninstalling(): boolean {
    return this.#uninstalling;
  }

  /** Called when the phase changed. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called whenever the ConfigMap came or changed in whatever way. */
  onSeen(listener: () => void): () => void {
    this.#seenListeners.add(listener);
    return () => this.#seenListeners.delete(listener);
  }

  start(): void {
    this.#reflector.start();
  }

  async stop(): Promise<void> {
    await this.#reflector.stop();
  }
}
