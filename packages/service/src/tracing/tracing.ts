export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanOptions {
  /** The span this one is part of, or the W3C `traceparent` that another process sent; none begins a trace. */
  readonly parent?: Span | string | undefined;
  /** What it was caused by without being part of it. */
  readonly links?: readonly Span[];
  /** `client` for a request to another service, `server` for an answer to one. Default `internal`. */
  readonly kind?: "internal" | "client" | "server";
  /** Never a token, a secret or a whole request. Compute them only if {@link Tracing.on}. */
  readonly attributes?: Attributes;
  /** Milliseconds since the epoch, for what began before it was known; default now. */
  readonly startedAt?: number;
}

/** One step of something that is traced. */
export interface Span {
  /** False for a span that goes nowhere: what would be told to it need not be computed. */
  readonly recording: boolean;
  /** The W3C header that makes another service's spans part of this one; undefined when it goes nowhere. */
  readonly traceparent: string | undefined;
  set(attributes: Attributes): void;
  event(name: string, attributes?: Attributes): void;
  /** @param error why the step failed; nothing for success. What is told to a span after its end is lost. */
  end(error?: string): void;
}

/** Makes spans. Parents are passed by hand: no context is carried along behind the program's back, which every request would pay for. */
export interface Tracing {
  readonly on: boolean;
  start(name: string, options?: SpanOptions): Span;
  /** Sends what is left, within two seconds. */
  close(): Promise<void>;
}

/** The span that goes nowhere. */
export const NO_SPAN: Span = Object.freeze({
  recording: false,
  traceparent: undefined,
  set: () => {},
  event: () => {},
  end: () => {},
});

/** Tracing that is off: every span is {@link NO_SPAN}. */
export const NO_TRACING: Tracing = Object.freeze({ on: false, start: () => NO_SPAN, close: () => Promise.resolve() });

/** Runs a step in a span that ends with it; what it throws is the span's error and is thrown on. */
export async function traced<T>(
  tracing: Tracing,
  name: string,
  options: SpanOptions,
  step: (span: Span) => Promise<T>,
): Promise<T> {
  if (!tracing.on) return step(NO_SPAN);
  const span = tracing.start(name, options);
  try {
    const result = await step(span);
    span.end();
    return result;
  } catch (error) {
    span.end(error instanceof Error ? error.message : String(error));
    throw error;
  }
}
