import { expect, test } from "vitest";
import { MetricRegistry } from "./metric-registry.ts";

test("Prometheus' text format: families with a series, cumulative buckets, escaped labels", () => {
  const registry = new MetricRegistry();
  const silent = registry.counter("silent_total", "never counted", ["a"]);
  const denials = registry.counter("denials_total", "Denials", ["reason"]);
  denials.of("a").inc();
  denials.of("a").inc(2);
  denials.of('q"\\\n').inc();
  registry.counter("plain_total", "Plain").of().inc();
  const seconds = registry.histogram("seconds", "Seconds", [0.5, 1, 2], ["phase"]);
  for (const value of [0.1, 0.5, 1.5, 9]) seconds.of("all").observe(value);
  registry.gauge("parked", "Parked", ["node"], () => [[["n"], 3]]);
  expect(silent).toBeDefined();
  expect(registry.metrics()).toBe(
    [
      "# HELP denials_total Denials",
      "# TYPE denials_total counter",
      'denials_total{reason="a"} 3',
      'denials_total{reason="q\\"\\\\\\n"} 1',
      "# HELP plain_total Plain",
      "# TYPE plain_total counter",
      "plain_total 1",
      "# HELP seconds Seconds",
      "# TYPE seconds histogram",
      'seconds_bucket{le="0.5",phase="all"} 2',
      'seconds_bucket{le="1",phase="all"} 2',
      'seconds_bucket{le="2",phase="all"} 3',
      'seconds_bucket{le="+Inf",phase="all"} 4',
      'seconds_sum{phase="all"} 11.1',
      'seconds_count{phase="all"} 4',
      "# HELP parked Parked",
      "# TYPE parked gauge",
      'parked{node="n"} 3',
      "",
    ].join("\n"),
  );
});

test("a series is one object, whoever asks for it", () => {
  const counter = new MetricRegistry().counter("x_total", "x", ["a", "b"]);
  expect(counter.of("1", "2")).toBe(counter.of("1", "2"));
  expect(counter.of("1", "2")).not.toBe(counter.of("12", ""));
  expect(() => counter.of("1")).toThrow("2 labels (a, b), 1 values");
});
