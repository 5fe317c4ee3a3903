import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";

type Callback = Parameters<SpanExporter["export"]>[1];

/** Says when sending begins to fail and when it works again: OpenTelemetry's own libraries keep it to themselves. */
export class ReportingExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #onProblem: (problem: string | undefined) => void;
  #failing = false;

  constructor(exporter: SpanExporter, onProblem: (problem: string | undefined) => void) {
    this.#exporter = exporter;
    this.#onProblem = onProblem;
  }

  export(spans: ReadableSpan[], callback: Callback): void {
    this.#exporter.export(spans, (result) => {
      // 0 is success; the enumeration lives in a package that would be one more to depend on.
      const code: number = result.code;
      const failed = code !== 0;
      if (failed !== this.#failing) {
        this.#failing = failed;
        this.#onProblem(failed ? (result.error?.message ?? "no reason given") : undefined);
      }
      callback(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }
}
