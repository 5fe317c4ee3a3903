export { TraceCollector } from "./testing/trace-collector.ts";
export type { CollectedSpan } from "./testing/trace-collector.ts";
