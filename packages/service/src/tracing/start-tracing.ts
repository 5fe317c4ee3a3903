import { NO_TRACING } from "./tracing.ts";
import type { Tracing } from "./tracing.ts";
import type { TracingSettings } from "./tracing-settings.ts";

export interface TracingOptions {
  /** Name of the program, unless OTEL_SERVICE_NAME says another. */
  readonly service: string;
  readonly version: string;
  /** Told once when traces cannot be sent, with the reason, and once (undefined) when they can again. */
  readonly onProblem: (problem: string | undefined) => void;
}

/**
 * Tracing as set, or {@link NO_TRACING} without settings. The libraries are loaded here and only then: without tracing they cost
 * neither time nor memory.
 */
export async function startTracing(settings: TracingSettings | undefined, options: TracingOptions): Promise<Tracing> {
  if (settings === undefined) return NO_TRACING;
  const { OtlpTracing } = await import("./otlp-tracing.ts");
  return new OtlpTracing(settings, options);
}
