import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from "@opentelemetry/api";
import type { Context, Span as OpenTelemetrySpan, SpanContext, Tracer } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import { ReportingExporter } from "./reporting-exporter.ts";
import type { TracingOptions } from "./start-tracing.ts";
import type { Attributes, Span, SpanOptions, Tracing } from "./tracing.ts";
import type { TracingSettings } from "./tracing-settings.ts";

const KINDS = { internal: SpanKind.INTERNAL, client: SpanKind.CLIENT, server: SpanKind.SERVER } as const;
/** A process that was told to stop does not wait longer for a collector that does not answer. */
const CLOSE_MS = 2000;

/** Spans by OpenTelemetry's own libraries, sent as OTLP over HTTP. Only ever loaded by a dynamic import. */
export class OtlpTracing implements Tracing {
  readonly on = true;
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;

  constructor({ url, ratio, parentBased, batch }: TracingSettings, { service, version, onProblem }: TracingOptions) {
    const exporter: SpanExporter = new ReportingExporter(new OTLPTraceExporter({ url }), onProblem);
    const root = new TraceIdRatioBasedSampler(ratio);
    this.#provider = new TracerProvider({
      resource: defaultResource()
        .merge(resourceFromAttributes({ "service.name": service, "service.version": version }))
        .merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] })),
      sampler: parentBased ? new ParentBasedSampler({ root }) : root,
      spanProcessors: [new BatchSpanProcessor({ exporter, ...batch })],
    });
    this.#tracer = this.#provider.getTracer(`podid/${service}`, version);
  }

  start(name: string, { parent, links = [], kind = "internal", attributes, startedAt }: SpanOptions = {}): Span {
    const span = this.#tracer.startSpan(
      name,
      {
        kind: KINDS[kind],
        ...(attributes !== undefined && { attributes }),
        // As a date: a small number would be taken for time since the process began.
        ...(startedAt !== undefined && { startTime: new Date(startedAt) }),
        links: links.flatMap((link) => (link instanceof OtlpSpan ? [{ context: link.context }] : [])),
      },
      contextOf(parent),
    );
    return new OtlpSpan(span);
  }

  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([this.#provider.shutdown().catch(() => {}), patience]);
    clearTimeout(timer);
  }
}

class OtlpSpan implements Span {
  readonly #span: OpenTelemetrySpan;

  constructor(span: OpenTelemetrySpan) {
    this.#span = span;
  }

  get context(): SpanContext {
    return this.#span.spanContext();
  }

  get recording(): boolean {
    return this.#span.isRecording();
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.context;
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
  }

  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes);
  }

  event(name: string, attributes?: Attributes): void {
    this.#span.addEvent(name, attributes);
  }

  end(error?: string): void {
    if (error !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: error });
    this.#span.end();
  }
}

function contextOf(parent: Span | string | undefined): Context {
  const context = parent instanceof OtlpSpan ? parent.context : typeof parent === "string" ? remote(parent) : undefined;
  return context === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, context);
}

/** https://www.w3.org/TR/trace-context/#traceparent-header; what is none begins a trace of its own. */
function remote(traceparent: string): SpanContext | undefined {
  const match = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:$|-)/.exec(traceparent);
  if (match === null) return undefined;
  const [, traceId = "", spanId = "", flags = ""] = match;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  return { traceId, spanId, traceFlags, isRemote: true };
}
