export { parseCommandLine } from "./command-line.ts";
export type { CommandLine, FlagTable, FlagValues, ParsedCommandLine } from "./command-line.ts";
export { formatDuration, parseDuration } from "./duration.ts";
export { startMetrics, startProbes } from "./endpoints.ts";
export type { Checks, Endpoint, Scraped } from "./endpoints.ts";
export {
  booleanFlag,
  choiceFlag,
  durationFlag,
  integerFlag,
  listFlag,
  numberFlag,
  portFlag,
  stringFlag,
} from "./flag.ts";
export type { Flag } from "./flag.ts";
export { renderHelp, renderMarkdown } from "./help.ts";
export { createLogger } from "./logger.ts";
export type { Logger, LoggerOptions } from "./logger.ts";
export { LOGGING_FLAGS } from "./logging-flags.ts";
export { openProfiler } from "./profiler.ts";
export { runMain } from "./run.ts";
export { startTracing } from "./tracing/start-tracing.ts";
export type { TracingOptions } from "./tracing/start-tracing.ts";
export { NO_SPAN, NO_TRACING, traced } from "./tracing/tracing.ts";
export type { Attributes, Span, SpanOptions, Tracing } from "./tracing/tracing.ts";
export { TRACING_FLAGS, tracingSettings } from "./tracing/tracing-settings.ts";
export type { TracingSettings } from "./tracing/tracing-settings.ts";
