import { parseRequest } from "@podid/imds-proxy";
import type { Exchange, TokenFacts } from "@podid/imds-proxy";
import type { Attributes, SpanOptions, Tracing } from "@podid/service";
import { expect, test } from "vitest";
import { traceExchange } from "./exchange-trace.ts";

interface Told {
  readonly attributes: Attributes | undefined;
  readonly startedAt: number | undefined;
  error?: string | undefined;
}

function traced(facts: Partial<TokenFacts>, more: Partial<Exchange> = {}): readonly Told[] {
  const spans: Told[] = [];
  const tracing: Tracing = {
    on: true,
    close: () => Promise.resolve(),
    start: (_name: string, { attributes, startedAt }: SpanOptions = {}) => {
      const span: Told = { attributes, startedAt };
      spans.push(span);
      return {
        recording: true,
        traceparent: undefined,
        set: () => {},
        event: () => {},
        end: (error?: string) => (span.error = error),
      };
    },
  };
  const request = parseRequest({
    method: "GET",
    target: "/metadata/identity/oauth2/token?resource=r",
    rawHeaders: ["Metadata", "true"],
  });
  const exchange = { request, method: "GET", path: "/x", remote: "10.0.0.5", status: 200, durationMs: 250, ...more };
  const whole: TokenFacts = { outcome: "token", parkedMs: 0, sourceMs: 0, ...facts };
  traceExchange(tracing, { ...exchange, facts: whole }, 1_000);
  return spans;
}

test("a token that had to be waited for is a span of that length, with where the time went", () => {
  const pod = { namespace: "default", name: "p", uid: "u", serviceAccountName: "sa" };
  expect(traced({ pod, cache: "miss", parkedMs: 200.4, sourceMs: 40 })).toEqual([
    {
      startedAt: 750,
      error: undefined,
      attributes: {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "podid.route": "token",
        "podid.outcome": "token",
        "podid.wait_ms": 200,
        "podid.source_ms": 40,
        "podid.cache": "miss",
        "k8s.namespace.name": "default",
        "k8s.pod.name": "p",
        "k8s.pod.uid": "u",
      },
    },
  ]);
});

test("a refusal is an error by its reason; a cached answer and a probe are no spans", () => {
  expect(traced({ outcome: "denied", reason: "no-binding" }, { status: 404 })).toMatchObject([{ error: "no-binding" }]);
  expect(traced({ cache: "hit" })).toEqual([]);
  expect(traced({}, { refused: "metadata-header", status: 400 })).toEqual([]);
});
