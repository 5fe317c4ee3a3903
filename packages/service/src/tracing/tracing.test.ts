import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TraceCollector } from "../testing/trace-collector.ts";
import { startTracing } from "./start-tracing.ts";
import { NO_SPAN, NO_TRACING, traced } from "./tracing.ts";
import type { Tracing } from "./tracing.ts";
import { tracingSettings } from "./tracing-settings.ts";

describe("settings", () => {
  const ON = { ratio: 1, parentBased: true, batch: {} };
  test.for([
    { name: "off by default", endpoint: "", env: {}, want: undefined },
    { name: "the flag", endpoint: "http://c:4318/", env: {}, want: { ...ON, url: "http://c:4318/v1/traces" } },
    {
      name: "the variable for traces is a whole URL",
      endpoint: "",
      env: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://c/custom" },
      want: { ...ON, url: "https://c/custom" },
    },
    {
      name: "the variable for traces wins over the common one",
      endpoint: "http://c:4318",
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://t/x" },
      want: { ...ON, url: "http://t/x" },
    },
    {
      name: "the command line wins over both",
      endpoint: "http://f:4318",
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://t/x" },
      want: { ...ON, url: "http://f:4318/v1/traces" },
    },
    { name: "disabled", endpoint: "http://c", env: { OTEL_SDK_DISABLED: "true" }, want: undefined },
    { name: "no exporter", endpoint: "http://c", env: { OTEL_TRACES_EXPORTER: "none" }, want: undefined },
    {
      name: "sampled and batched",
      endpoint: "http://c",
      env: { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.1", OTEL_BSP_SCHEDULE_DELAY: "100" },
      want: { url: "http://c/v1/traces", ratio: 0.1, parentBased: false, batch: { scheduledDelayMillis: 100 } },
    },
  ])("$name", ({ endpoint, env, want }) => {
    expect(tracingSettings(endpoint, env as Record<string, string>)).toEqual({ settings: want, errors: [] });
  });

  test("every mistake at once", () => {
    const { settings, errors } = tracingSettings("collector:4318", {
      OTEL_TRACES_EXPORTER: "zipkin",
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
      OTEL_TRACES_SAMPLER: "traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "2",
      OTEL_BSP_MAX_QUEUE_SIZE: "many",
    });
    expect(settings).toBeUndefined();
    expect(errors).toEqual([
      '--otlp-endpoint: "collector:4318" is no URL; give one such as http://collector:4318',
      expect.stringContaining('OTEL_TRACES_EXPORTER: "zipkin"'),
      expect.stringContaining('OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not supported; give http/json'),
      expect.stringContaining('OTEL_TRACES_SAMPLER_ARG: "2"'),
      expect.stringContaining('OTEL_BSP_MAX_QUEUE_SIZE: "many"'),
    ]);
  });
});

describe("over the wire", () => {
  let collector: TraceCollector;
  let problems: (string | undefined)[];
  const started: Tracing[] = [];

  beforeEach(async () => {
    collector = await TraceCollector.start();
    problems = [];
  });
  afterEach(async () => {
    for (const tracing of started.splice(0)) await tracing.close();
    await collector.close();
  });

  async function start(env: Record<string, string> = {}): Promise<Tracing> {
    const { settings } = tracingSettings(collector.url, env);
    const tracing = await startTracing(settings, {
      service: "mic",
      version: "1.2.3",
      onProblem: (problem) => problems.push(problem),
    });
    started.push(tracing);
    return tracing;
  }

  test("spans arrive with parent, link, kind, times, attributes, events and errors", async () => {
    const tracing = await start();
    const assignment = tracing.start("assignment", { startedAt: 1_000, attributes: { "podid.pod": "ns/p", tries: 2 } });
    const arm = tracing.start("arm.patch", { parent: assignment, kind: "client" });
    arm.event("held", { because: "Updating" });
    arm.end("429 from ARM");
    tracing.start("other", { links: [assignment] }).end();
    assignment.set({ outcome: "Assigned" });
    assignment.end();
    await tracing.close();

    expect(collector.requests[0]?.path).toBe("/v1/traces");
    expect(collector.resources[0]).toMatchObject({ "service.name": "mic", "service.version": "1.2.3" });
    const [first, second, third] = collector.spans;
    expect(first).toMatchObject({
      name: "arm.patch",
      kind: 3,
      traceId: third?.traceId,
      parentSpanId: third?.spanId,
      events: ["held"],
      status: { code: 2, message: "429 from ARM" },
    });
    expect(second).toMatchObject({ name: "other", links: [third?.spanId] });
    expect(second?.traceId).not.toBe(third?.traceId);
    expect(third).toMatchObject({
      name: "assignment",
      startTimeUnixNano: "1000000000",
      attributes: { "podid.pod": "ns/p", tries: 2, outcome: "Assigned" },
      status: { code: 0 },
    });
  });

  test("a caller's traceparent is gone on with, and handed on", async () => {
    const tracing = await start();
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const span = tracing.start("token", { parent: `00-${traceId}-00f067aa0ba902b7-01`, kind: "server" });
    expect(span.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    span.end();
    // Not sampled by the caller, and nonsense.
    const silent = tracing.start("token", { parent: `00-${traceId}-00f067aa0ba902b7-00` });
    expect(silent.recording).toBe(false);
    silent.end();
    tracing.start("own", { parent: "nonsense" }).end();
    await tracing.close();
    expect(collector.spans.map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([
      ["token", "00f067aa0ba902b7"],
      ["own", undefined],
    ]);
  });

  test("nothing is sent of what is not sampled", async () => {
    const tracing = await start({ OTEL_TRACES_SAMPLER: "always_off" });
    expect(tracing.start("x").recording).toBe(false);
    await tracing.close();
    expect(collector.requests).toEqual([]);
  });

  test("a collector that refuses is told of once, and once when it takes spans again", async () => {
    const tracing = await start({ OTEL_BSP_SCHEDULE_DELAY: "1" });
    const send = async (): Promise<void> => {
      const before = collector.requests.length;
      tracing.start("x").end();
      await expect.poll(() => collector.requests.length, { interval: 2 }).toBe(before + 1);
    };
    collector.status = 400;
    await send();
    await expect.poll(() => problems).toEqual([expect.stringContaining("Bad Request")]);
    await send();
    collector.status = 200;
    await send();
    await expect.poll(() => problems).toHaveLength(2);
    expect(problems[1]).toBeUndefined();
  });
});

test("a traced step ends its span, with the error that it threw", async () => {
  const ended: (string | undefined)[] = [];
  const tracing: Tracing = {
    on: true,
    start: () => ({ ...NO_SPAN, end: (error) => void ended.push(error) }),
    close: () => Promise.resolve(),
  };
  await expect(traced(tracing, "good", {}, () => Promise.resolve(1))).resolves.toBe(1);
  await expect(traced(tracing, "bad", {}, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(ended).toEqual([undefined, "no"]);
});

test("off, every span is the same one and nothing is loaded", async () => {
  const tracing = await startTracing(undefined, { service: "mic", version: "1", onProblem: () => {} });
  expect(tracing).toBe(NO_TRACING);
  expect(tracing.start("x")).toBe(NO_SPAN);
  expect(NO_SPAN.recording).toBe(false);
});
