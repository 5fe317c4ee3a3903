import { expect, test } from "vitest";
import { FakeClock } from "./fake-clock.ts";
import { pacedTransport, RequestRate } from "./request-rate.ts";
import type { KubeTransport } from "./transport.ts";

test("a burst goes at once, then one after the other; quiet time fills the bucket, and no further", async () => {
  const clock = new FakeClock();
  const rate = new RequestRate({ perSecond: 5, burst: 3, clock });
  const gone: number[] = [];
  for (let at = 0; at < 5; at += 1) void rate.turn().then(() => gone.push(at));
  await clock.run(0);
  expect(gone).toEqual([0, 1, 2]);
  await clock.run(199);
  expect(gone).toEqual([0, 1, 2]);
  await clock.run(1);
  expect(gone).toEqual([0, 1, 2, 3]);
  await clock.run(200);
  expect(gone).toHaveLength(5);

  await clock.run(60_000);
  for (let at = 5; at < 10; at += 1) void rate.turn().then(() => gone.push(at));
  await clock.run(0);
  expect(gone).toHaveLength(8);
});

test("who waits can leave", async () => {
  const clock = new FakeClock();
  const rate = new RequestRate({ perSecond: 1, burst: 1, clock });
  await rate.turn();
  const leaving = new AbortController();
  const turn = rate.turn(leaving.signal);
  leaving.abort(new Error("no more"));
  await expect(turn).rejects.toThrow("no more");
  await expect(rate.turn(leaving.signal)).rejects.toThrow("no more");
});

test.for([
  { perSecond: 0, burst: 1 },
  { perSecond: 5, burst: 0 },
  { perSecond: Number.NaN, burst: 1 },
])("refused: $perSecond per second, burst $burst", (options) => {
  expect(() => new RequestRate(options)).toThrow("requests per second");
});

test("requests and watches of a transport share one rate", async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  const inner: KubeTransport = {
    request: (request) => {
      asked.push(request.path);
      return Promise.resolve(undefined as never);
    },
    stream: (request) => {
      asked.push(`watch ${request.path}`);
      return Promise.resolve((async function* () {})());
    },
    close: () => Promise.resolve(),
  };
  const transport = pacedTransport(inner, new RequestRate({ perSecond: 1, burst: 2, clock }));
  void transport.request({ method: "GET", path: "/a" });
  void transport.stream({ method: "GET", path: "/b" });
  void transport.request({ method: "GET", path: "/c" });
  await clock.run(0);
  expect(asked).toEqual(["/a", "watch /b"]);
  await clock.run(1000);
  expect(asked).toEqual(["/a", "watch /b", "/c"]);
});
