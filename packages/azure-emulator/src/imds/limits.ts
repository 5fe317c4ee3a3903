import type { AzureState } from "../state/azure-state.ts";

/** IMDS's limits of one machine: a second is counted back from each request. */
export class ImdsLimits {
  readonly #state: AzureState;
  readonly #recent = { identity: [] as number[], other: [] as number[] };
  #active = 0;

  constructor(state: AzureState) {
    this.#state = state;
  }

  /** undefined when the request exceeds a limit, else what to call when it is answered. */
  enter(category: "identity" | "other"): (() => void) | undefined {
    const { identityPerSecond, identityConcurrent, otherPerSecond } = this.#state.settings.imdsLimits;
    const perSecond = category === "identity" ? identityPerSecond : otherPerSecond;
    const now = this.#state.clock.now();
    const recent = this.#recent[category];
    while (recent[0] !== undefined && recent[0] <= now - 1000) recent.shift();
    if (perSecond !== undefined && recent.length >= perSecond) return undefined;
    if (category === "identity" && identityConcurrent !== undefined && this.#active >= identityConcurrent)
      return undefined;
    recent.push(now);
    if (category === "other") return () => undefined;
    this.#active += 1;
    return () => {
      this.#active -= 1;
    };
  }
}
