import { HOST_TOKEN_PATH, TOKEN_PATH } from "@podid/imds-proxy";
import type { BrokerStatistics, Exchange, SourceOutcome, TokenSource } from "@podid/imds-proxy";
import { MetricRegistry } from "./metric-registry.ts";
import type { Observations } from "./metric-registry.ts";

const BUCKETS_IMDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 3, 4, 5, 10];
const BUCKETS_NMI = [0.5, 1, 2, 3, 4, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100];
const BUCKETS_PHASE = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Clients choose resources; this many get a series of their own. */
const MOST_RESOURCES = 50;
const OTHER = "other";
/** Where a request was meant for that the parse refused. */
const OPERATIONS = [
  [/^\/metadata\/identity\/oauth2\/token\/?$/i, TOKEN_PATH],
  [/^\/host\/token\/?$/, HOST_TOKEN_PATH],
] as const;

/** All of NMI's metrics: upstream's names, labels and buckets, then podid's own. */
export class NmiMetrics {
  readonly registry = new MetricRegistry();
  readonly #operations = this.registry.histogram(
    "aadpodidentity_nmi_operations_duration_seconds",
    "Duration in seconds of nmi operations",
    BUCKETS_NMI,
    ["operation_type", "status_code", "namespace", "resource"],
  );
  readonly #imdsDuration = this.registry.histogram(
    "aadpodidentity_imds_operations_duration_seconds",
    "Duration in seconds of imds token operations",
    BUCKETS_IMDS,
    ["operation_type"],
  );
  readonly #imdsErrors = this.registry.counter(
    "aadpodidentity_imds_operations_errors_count",
    "Total number of errors in imds token operations",
    ["operation_type"],
  );
  readonly #kubeErrors = this.registry.counter(
    "aadpodidentity_kubernetes_api_operations_errors_count",
    "Total number of errors in kubernetes api operations",
    ["operation_type"],
  );
  readonly #phases = this.registry.histogram(
    "podid_nmi_token_phase_seconds",
    "Seconds of a token request by phase: waiting for the cluster, for the token source, and in all",
    BUCKETS_PHASE,
    ["phase"],
  );
  readonly #cache = this.registry.counter(
    "podid_nmi_token_cache_total",
    "Tokens handed out, by how they were come by",
    ["outcome"],
  );
  readonly #denials = this.registry.counter(
    "podid_nmi_refusals_total",
    "Requests that got no token or metadata, by reason",
    ["reason"],
  );
  readonly #repairs = this.registry.counter(
    "podid_nmi_rule_repairs_total",
    "Times the iptables rules had been changed by others and were put right",
  );
  readonly #resources = new Set<string>();
  /** Answered tokens by resource and namespace: on the hot path a series is found with two look-ups. */
  readonly #served = new Map<string, Map<string, Observations>>();

  constructor(live: {
    readonly parked: () => number;
    readonly staleSeconds: () => Readonly<Record<string, number>>;
    readonly broker: () => BrokerStatistics;
  }) {
    this.registry.counterFrom(
      "podid_nmi_token_source_calls_total",
      "Calls to the sources of tokens, each attempt",
      [],
      () => [[[], live.broker().upstream]],
    );
    this.registry.counterFrom(
      "podid_nmi_token_refreshes_total",
      "Tokens asked for anew ahead of need, while the old one was handed out",
      [],
      () => [[[], live.broker().refreshes]],
    );
    this.registry.gauge("podid_nmi_token_cache_entries", "Tokens kept now", [], () => [[[], live.broker().entries]]);
    this.registry.gauge(
      "podid_nmi_token_cache_hit_ratio",
      "Share of the tokens handed out that cost no call of their own, since the start",
      [],
      () => [[[], live.broker().hitRatio]],
    );
    this.registry.gauge("podid_nmi_parked_requests", "Token requests waiting now", [], () => [[[], live.parked()]]);
    this.registry.gauge(
      "podid_nmi_watch_staleness_seconds",
      "Seconds since the API server last proved a watch current",
      ["resource"],
      () =>
        Object.entries(live.staleSeconds())
          .filter(([, seconds]) => Number.isFinite(seconds))
          .map(([resource, seconds]) => [[resource], seconds]),
    );
  }

  exchange({ request, path, status, durationMs, facts, refused }: Exchange): void {
    const seconds = durationMs / 1000;
    if (request.kind === "token") {
      const namespace = facts?.pod?.namespace ?? "";
      if (status === 200) this.#ofServed(request.resource, namespace).observe(seconds);
      else this.#operation(TOKEN_PATH, status, namespace, this.#resource(request.resource, status)).observe(seconds);
    } else if (request.kind === "host-token") {
      const label = this.#resource(request.request.resource, status);
      this.#operation(HOST_TOKEN_PATH, status, facts?.pod?.namespace ?? "", label).observe(seconds);
    } else if (refused !== undefined && refused !== "unknown-identity-path") {
      const operation = OPERATIONS.find(([pattern]) => pattern.test(path))?.[1];
      if (operation !== undefined) this.#operation(operation, status, "", "").observe(seconds);
    }
    if (refused !== undefined) this.#denials.of(refused).inc();
    if (facts === undefined) return;
    if (facts.cache !== undefined) this.#cache.of(facts.cache).inc();
    if (facts.reason !== undefined) this.#denials.of(facts.reason).inc();
    if (facts.reason === "pod-unknown") this.#kubeErrors.of("get_pod_list").inc();
    this.#phases.of("total").observe(seconds);
    if (facts.parkedMs > 0) this.#phases.of("parked").observe(facts.parkedMs / 1000);
    if (facts.sourceMs > 0) this.#phases.of("source").observe(facts.sourceMs / 1000);
  }

  ruleRepair(): void {
    this.#repairs.of().inc();
  }

  /** Upstream's metrics of token calls around a source: `adal_token` is Entra, although their name says IMDS. */
  measured(
    source: TokenSource,
    monotonicMs: () => number,
    operation: "adal_token_msi_userassignedid" | "adal_token" = "adal_token_msi_userassignedid",
  ): TokenSource {
    return {
      ...(source.inputs && { inputs: source.inputs.bind(source) }),
      ...(source.prepare && { prepare: source.prepare.bind(source) }),
      ...(source.forgetPod && { forgetPod: source.forgetPod.bind(source) }),
      ...(source.limiter && { limiter: source.limiter }),
      fetch: async (request): Promise<SourceOutcome> => {
        const startedMs = monotonicMs();
        const outcome = await source.fetch(request);
        if (outcome.kind === "token") this.#imdsDuration.of(operation).observe((monotonicMs() - startedMs) / 1000);
        else this.#imdsErrors.of(operation).inc();
        return outcome;
      },
    };
  }

  #ofServed(resource: string, namespace: string): Observations {
    const known = this.#served.get(resource)?.get(namespace);
    if (known !== undefined) return known;
    const label = this.#resource(resource, 200);
    const series = this.#operation(TOKEN_PATH, 200, namespace, label);
    if (label !== OTHER) {
      const group = this.#served.get(resource) ?? new Map<string, Observations>();
      this.#served.set(resource, group.set(namespace, series));
    }
    return series;
  }

  #operation(operation: string, status: number, namespace: string, resource: string): Observations {
    return this.#operations.of(operation, String(status), namespace, resource);
  }

  /** Only resources that some token was issued for get a series: a client cannot make names up. */
  #resource(resource: string, status: number): string {
    if (this.#resources.has(resource)) return resource;
    if (status !== 200 || this.#resources.size >= MOST_RESOURCES) return OTHER;
    this.#resources.add(resource);
    return resource;
  }
}
