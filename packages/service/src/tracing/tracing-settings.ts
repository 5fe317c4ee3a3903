import { stringFlag } from "../flag.ts";

/** Where and how traces are sent. */
export interface TracingSettings {
  /** Full URL of OTLP over HTTP for traces. */
  readonly url: string;
  /** Share of the traces that begin here and are kept, 0 to 1. */
  readonly ratio: number;
  /** Whether a caller's decision counts before that. */
  readonly parentBased: boolean;
  /** Of the batches that are sent; undefined: the library's own, which are the standard's. */
  readonly batch: {
    readonly scheduledDelayMillis?: number;
    readonly exportTimeoutMillis?: number;
    readonly maxQueueSize?: number;
    readonly maxExportBatchSize?: number;
  };
}

/** Part of the flag table of a program that can be traced. */
export const TRACING_FLAGS = {
  "otlp-endpoint": stringFlag({
    default: "",
    env: "OTEL_EXPORTER_OTLP_ENDPOINT",
    help: "Where OpenTelemetry traces go, OTLP over HTTP, such as http://collector:4318; empty: nothing is traced. OpenTelemetry's own environment variables say more: OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME and others.",
  }),
} as const;

type Environment = Readonly<Record<string, string | undefined>>;

const SAMPLERS: Readonly<Record<string, { readonly parentBased: boolean; readonly ratio?: number }>> = {
  always_on: { parentBased: false, ratio: 1 },
  always_off: { parentBased: false, ratio: 0 },
  traceidratio: { parentBased: false },
  parentbased_always_on: { parentBased: true, ratio: 1 },
  parentbased_always_off: { parentBased: true, ratio: 0 },
  parentbased_traceidratio: { parentBased: true },
};

const BATCH = {
  OTEL_BSP_SCHEDULE_DELAY: "scheduledDelayMillis",
  OTEL_BSP_EXPORT_TIMEOUT: "exportTimeoutMillis",
  OTEL_BSP_MAX_QUEUE_SIZE: "maxQueueSize",
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "maxExportBatchSize",
} as const;

/**
 * Reads OpenTelemetry's environment variables beside the flag. Headers, time-out, compression and certificates are read from the
 * environment by the exporter itself.
 *
 * Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 * @param endpoint value of `--otlp-endpoint`, which its environment variable may have set
 * @returns no settings where nothing is to be traced; every mistake, each with its fix
 */
export function tracingSettings(
  endpoint: string,
  env: Environment,
): { readonly settings: TracingSettings | undefined; readonly errors: readonly string[] } {
  const value = (name: string): string => env[name]?.trim() ?? "";
  const forTraces = value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  // The flag on the command line wins over both variables; of the two, the one for traces.
  const fromFlag = endpoint !== "" && endpoint !== (env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "");
  const isWhole = forTraces !== "" && !fromFlag;
  const text = isWhole ? forTraces : endpoint.trim();
  const off = value("OTEL_SDK_DISABLED").toLowerCase() === "true" || value("OTEL_TRACES_EXPORTER") === "none";
  if (text === "" || off) return { settings: undefined, errors: [] };

  const errors: string[] = [];
  const name = isWhole ? "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" : "--otlp-endpoint";
  if (!/^https?:$/.test(URL.canParse(text) ? new URL(text).protocol : ""))
    errors.push(`${name}: ${JSON.stringify(text)} is no URL; give one such as http://collector:4318`);
  const exporter = value("OTEL_TRACES_EXPORTER");
  if (exporter !== "" && exporter !== "otlp")
    errors.push(
      `environment variable OTEL_TRACES_EXPORTER: ${JSON.stringify(exporter)} is not supported; give otlp or none`,
    );
  const protocol = value("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") || value("OTEL_EXPORTER_OTLP_PROTOCOL");
  // A collector's HTTP endpoint takes both encodings, so that a fleet's setting of http/protobuf does no harm.
  if (protocol !== "" && !protocol.startsWith("http/"))
    errors.push(
      `environment variable OTEL_EXPORTER_OTLP_PROTOCOL: ${JSON.stringify(protocol)} is not supported; give http/json and the collector's port for OTLP over HTTP, mostly 4318`,
    );

  const samplerName = value("OTEL_TRACES_SAMPLER") || "parentbased_always_on";
  const sampler = Object.hasOwn(SAMPLERS, samplerName) ? SAMPLERS[samplerName] : undefined;
  if (sampler === undefined)
    errors.push(
      `environment variable OTEL_TRACES_SAMPLER: ${JSON.stringify(samplerName)} is not known; give one of ${Object.keys(SAMPLERS).join(", ")}`,
    );
  const argument = value("OTEL_TRACES_SAMPLER_ARG");
  const ratio = sampler?.ratio ?? (argument === "" ? 1 : Number(argument));
  if (!(ratio >= 0 && ratio <= 1))
    errors.push(
      `environment variable OTEL_TRACES_SAMPLER_ARG: ${JSON.stringify(argument)} is not valid; give a number from 0 to 1`,
    );

  const batch: Record<string, number> = {};
  for (const [variable, option] of Object.entries(BATCH)) {
    const given = value(variable);
    if (given === "") continue;
    if (/^[1-9]\d{0,8}$/.test(given)) batch[option] = Number(given);
    else
      errors.push(
        `environment variable ${variable}: ${JSON.stringify(given)} is not valid; give a whole number of at least 1`,
      );
  }
  if (errors.length > 0 || sampler === undefined) return { settings: undefined, errors };
  const url = isWhole ? text : `${text.replace(/\/+$/, "")}/v1/traces`;
  return { settings: { url, ratio, parentBased: sampler.parentBased, batch }, errors };
}
