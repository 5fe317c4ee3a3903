import { HOST_TOKEN_PATH, TOKEN_PATH } from "@podid/imds-proxy";
import type { Exchange, SourceOutcome, TokenSource } from "@podid/imds-proxy";
import { Counter, Gauge, Histogram, Registry } from "prom-client";

const BUCKETS_IMDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 3, 4, 5, 10];
const BUCKETS_NMI = [0.5, 1, 2, 3, 4, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100];
const BUCKETS_PHASE = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Clients choose resources; this many get a series of their own. */
const MOST_RESOURCES = 50;
const OTHER = "other";

/** All of NMI's metrics: upstream's names, labels and buckets, then podid's own. */
export class NmiMetrics {
  readonly registry = new Registry();
  readonly #operations: Histogram<"operation_type" | "status_code" | "namespace" | "resource">;
  readonly #imdsDuration: Histogram<"operation_type">;
  readonly #imdsErrors: Counter<"operation_type">;
  readonly #kubeErrors: Counter<"operation_type">;
  readonly #phases: Histogram<"phase">;
  readonly #cache: Counter<"outcome">;
  readonly #denials: Counter<"reason">;
  readonly #repairs: Counter;
  readonly #resources = new Set<string>();

  constructor(live: { readonly parked: () => number; readonly staleSeconds: () => Readonly<Record<string, number>> }) {
    const registers = [this.registry];
    this.#operations = new Histogram({
      name: "aadpodidentity_nmi_operations_duration_seconds",
      help: "Duration in seconds of nmi operations",
      labelNames: ["operation_type", "status_code", "namespace", "resource"],
      buckets: BUCKETS_NMI,
      registers,
    });
    this.#imdsDuration = new Histogram({
      name: "aadpodidentity_imds_operations_duration_seconds",
      help: "Duration in seconds of imds token operations",
      labelNames: ["operation_type"],
      buckets: BUCKETS_IMDS,
      registers,
    });
    this.#imdsErrors = new Counter({
      name: "aadpodidentity_imds_operations_errors_count",
      help: "Total number of errors in imds token operations",
      labelNames: ["operation_type"],
      registers,
    });
    this.#kubeErrors = new Counter({
      name: "aadpodidentity_kubernetes_api_operations_errors_count",
      help: "Total number of errors in kubernetes api operations",
      labelNames: ["operation_type"],
      registers,
    });
    this.#phases = new Histogram({
      name: "podid_nmi_token_phase_seconds",
      help: "Seconds of a token request by phase: waiting for the cluster, for the token source, and in all",
      labelNames: ["phase"],
      buckets: BUCKETS_PHASE,
      registers,
    });
    this.#cache = new Counter({
      name: "podid_nmi_token_cache_total",
      help: "Tokens handed out, by how they were come by",
      labelNames: ["outcome"],
      registers,
    });
    this.#denials = new Counter({
      name: "podid_nmi_refusals_total",
      help: "Requests that got no token or metadata, by reason",
      labelNames: ["reason"],
      registers,
    });
    this.#repairs = new Counter({
      name: "podid_nmi_rule_repairs_total",
      help: "Times the iptables rules had been changed by others and were put right",
      registers,
    });
    const parked: Gauge = new Gauge({
      name: "podid_nmi_parked_requests",
      help: "Token requests waiting now",
      registers,
      collect: () => parked.set(live.parked()),
    });
    const stale: Gauge<"resource"> = new Gauge({
      name: "podid_nmi_watch_staleness_seconds",
      help: "Seconds since the API server last proved a watch current",
      labelNames: ["resource"],
      registers,
      collect: () => {
        for (const [resource, seconds] of Object.entries(live.staleSeconds()))
          if (Number.isFinite(seconds)) stale.set({ resource }, seconds);
      },
    });
  }

  exchange({ request, status, durationMs, facts, refused }: Exchange): void {
    if (request.kind === "token" || request.kind === "host-token") {
      const labels = {
        operation_type: request.kind === "token" ? TOKEN_PATH : HOST_TOKEN_PATH,
        status_code: String(status),
        namespace: facts?.pod?.namespace ?? "",
        resource: request.kind === "token" ? this.#resource(request.resource, status) : "",
      };
      this.#operations.observe(labels, durationMs / 1000);
    }
    if (refused !== undefined) this.#denials.inc({ reason: refused });
    if (facts === undefined) return;
    if (facts.cache !== undefined) this.#cache.inc({ outcome: facts.cache });
    if (facts.reason !== undefined) this.#denials.inc({ reason: facts.reason });
    if (facts.reason === "pod-unknown") this.#kubeErrors.inc({ operation_type: "get_pod_list" });
    this.#phases.observe({ phase: "total" }, durationMs / 1000);
    if (facts.parkedMs > 0) this.#phases.observe({ phase: "parked" }, facts.parkedMs / 1000);
    if (facts.sourceMs > 0) this.#phases.observe({ phase: "source" }, facts.sourceMs / 1000);
  }

  ruleRepair(): void {
    this.#repairs.inc();
  }

  /** Upstream's IMDS metrics around a source. */
  measured(source: TokenSource, monotonicMs: () => number): TokenSource {
    return {
      ...(source.inputs && { inputs: source.inputs.bind(source) }),
      fetch: async (request): Promise<SourceOutcome> => {
        const startedMs = monotonicMs();
        const outcome = await source.fetch(request);
        const labels = { operation_type: "adal_token_msi_userassignedid" };
        if (outcome.kind === "token") this.#imdsDuration.observe(labels, (monotonicMs() - startedMs) / 1000);
        else this.#imdsErrors.inc(labels);
        return outcome;
      },
    };
  }

  /** Only resources that some token was issued for get a series: a client cannot make names up. */
  #resource(resource: string, status: number): string {
    if (this.#resources.has(resource)) return resource;
    if (status !== 200 || this.#resources.size >= MOST_RESOURCES) return OTHER;
    this.#resources.add(resource);
    return resource;
  }
}
