import type { Reflector } from "@podid/kube";
import type { LifecycleRecord } from "./lifecycle-record.ts";

/** The phase that the chart's pre-delete hook sets. */
export const UNINSTALLING = "uninstalling";

/**
 * Whether somebody said that podid is being uninstalled. Remembered: the ConfigMap, or the right to read it, is
 * usually gone when the process is told to stop. Only another phase takes it back; silence and errors say nothing.
 */
export class UninstallMark {
  #set = false;

  constructor(lifecycle: Pick<Reflector<LifecycleRecord>, "subscribe">, onChange?: (uninstalling: boolean) => void) {
    lifecycle.subscribe({
      upsert: (_key, { phase }) => {
        const uninstalling = phase === UNINSTALLING;
        if (uninstalling === this.#set) return;
        this.#set = uninstalling;
        onChange?.(uninstalling);
      },
      delete: () => undefined,
    });
  }

  get set(): boolean {
    return this.#set;
  }
}
