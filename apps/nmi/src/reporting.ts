import type { Clock, Exchange } from "@podid/imds-proxy";
import type { EventRecorder } from "@podid/kube";
import type { Logger, Tracing } from "@podid/service";
import { AuditLog } from "./audit-log.ts";
import type { AuditStream } from "./audit-stream.ts";
import { DefaultIdentityWarnings } from "./default-identity-warnings.ts";
import { ExchangeLog } from "./exchange-log.ts";
import { traceExchange } from "./exchange-trace.ts";
import { LogLimiter } from "./log-limiter.ts";
import type { NmiMetrics } from "./metrics.ts";

export interface ReportingOptions {
  readonly metrics: NmiMetrics;
  readonly log: Logger;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly events: Pick<EventRecorder, "record">;
  /** undefined: no audit. */
  readonly audit: AuditStream | undefined;
}

/** Everything that is told about answered requests: metrics, log, audit, events, traces. */
export class Reporting {
  readonly #options: ReportingOptions;
  readonly #audit: AuditLog | undefined;
  readonly #warnings: DefaultIdentityWarnings;
  readonly #log: ExchangeLog;

  constructor(options: ReportingOptions) {
    const { audit, clock, log } = options;
    this.#options = options;
    this.#audit = audit && new AuditLog({ clock, write: (line) => audit.write(line) });
    this.#warnings = new DefaultIdentityWarnings(options.events);
    this.#log = new ExchangeLog({ log, limiter: new LogLimiter({ monotonicMs: () => clock.monotonicMs() }) });
  }

  exchange(exchange: Exchange): void {
    const { metrics, tracing, clock } = this.#options;
    metrics.exchange(exchange);
    this.#log.exchange(exchange);
    this.#audit?.exchange(exchange);
    this.#warnings.exchange(exchange);
    if (tracing.on) traceExchange(tracing, exchange, clock.wallMs());
  }

  async close(): Promise<void> {
    this.#audit?.close();
    await Promise.all([this.#options.audit?.close(), this.#options.tracing.close()]);
  }
}
