import { FairLimiter } from "@podid/imds-proxy";
import type { Clock } from "@podid/imds-proxy";
import type { EntraAnswer, TokenEndpoint } from "@podid/entra-tokens";

export interface TenantGateOptions {
  readonly clock: Clock;
  /** Requests to one tenant at a time and within a second. */
  readonly concurrency?: number;
  readonly ratePerSecond?: number;
}

/** So many failures in a row, and the tenant is left alone for a while. */
const FAILURES = 3;
const FIRST_REST_MS = 5_000;
const LONGEST_REST_MS = 60_000;
/** Tenants are named by whoever may create an AzureIdentity. */
const MOST = 200;

interface Tenant {
  readonly limiter: FairLimiter;
  failures: number;
  /** Monotonic; until then nothing is sent. */
  restUntilMs: number;
  /** One request finds out whether the rest is over. */
  probing: boolean;
}

/**
 * Stands in front of Entra, separately for each tenant of each authority: a tenant that hangs takes its own few places,
 * and after some failures none, and an application that Entra throttles is left alone for as long as Entra says.
 */
export class TenantGate {
  readonly #options: Required<TenantGateOptions>;
  readonly #tenants = new Map<string, Tenant>();
  /** By tenant and client id: throttling is of applications. */
  readonly #throttledUntil = new Map<string, { readonly untilMs: number; readonly message: string }>();

  constructor(options: TenantGateOptions) {
    this.#options = { concurrency: 8, ratePerSecond: 50, ...options };
  }

  /**
   * @param podUid whose turn it is
   * @throws LimiterFullError, at once, when too many requests of that pod are waiting
   */
  async run(
    { authority, tenant }: TokenEndpoint,
    clientId: string,
    podUid: string,
    ask: () => Promise<EntraAnswer>,
  ): Promise<EntraAnswer> {
    const key = `${authority}${tenant.toLowerCase()}`;
    const application = `${key}/${clientId.toLowerCase()}`;
    const state = this.#tenant(key);
    return (
      this.#closed(state, application, tenant) ??
      state.limiter.run(podUid, async () => {
        // It may have closed while this request was waiting for its turn.
        const closed = this.#closed(state, application, tenant);
        if (closed !== undefined) return closed;
        state.probing = state.failures >= FAILURES;
        try {
          const answer = await ask();
          this.#learn(state, application, answer);
          return answer;
        } finally {
          state.probing = false;
        }
      })
    );
  }

  #tenant(key: string): Tenant {
    const { clock, concurrency, ratePerSecond } = this.#options;
    const state = this.#tenants.get(key) ?? {
      limiter: new FairLimiter({ clock, concurrency, ratePerSecond }),
      failures: 0,
      restUntilMs: -Infinity,
      probing: false,
    };
    this.#tenants.delete(key);
    this.#tenants.set(key, state);
    dropOldest(this.#tenants);
    return state;
  }

  #closed(state: Tenant, application: string, tenant: string): EntraAnswer | undefined {
    const now = this.#options.clock.monotonicMs();
    const throttled = this.#throttledUntil.get(application);
    if (throttled !== undefined && now < throttled.untilMs)
      return {
        kind: "throttled",
        retryAfterMs: throttled.untilMs - now,
        message: throttled.message,
        correlationId: "",
      };
    if (state.failures < FAILURES || (now >= state.restUntilMs && !state.probing)) return undefined;
    const message = `Entra did not answer for tenant ${tenant} ${state.failures} times in a row; it is asked again shortly`;
    return { kind: "throttled", retryAfterMs: Math.max(1_000, state.restUntilMs - now), message, correlationId: "" };
  }

  #learn(state: Tenant, application: string, answer: EntraAnswer): void {
    const now = this.#options.clock.monotonicMs();
    switch (answer.kind) {
      case "throttled":
        this.#throttledUntil.delete(application);
        this.#throttledUntil.set(application, { untilMs: now + answer.retryAfterMs, message: answer.message });
        dropOldest(this.#throttledUntil);
        return;
      case "unavailable":
        // It did answer: what is amiss is this identity's, as an issuer that cannot be reached, and not the tenant's.
        if (answer.code !== undefined) return;
        state.failures++;
        if (state.failures >= FAILURES) {
          const restMs = FIRST_REST_MS * 2 ** Math.min(10, state.failures - FAILURES);
          state.restUntilMs = now + Math.min(LONGEST_REST_MS, restMs);
        }
        return;
      case "token":
      case "refused":
        state.failures = 0;
        this.#throttledUntil.delete(application);
    }
  }
}

function dropOldest(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= MOST) return;
    map.delete(key);
  }
}
