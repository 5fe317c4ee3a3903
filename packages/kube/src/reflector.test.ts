import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";

import { FakeClock, settled } from "./fake-clock.ts";
import { Index } from "./key-index.ts";
import { KubeError } from "./kube-error.ts";
import { broken, MemoryApi } from "../test/memory-api.ts";
import { Reflector } from "./reflector.ts";
import type { ReflectorOptions } from "./reflector.ts";
import { RESOURCES } from "./resource.ts";
import { silentLog } from "./transport.ts";

const running: Reflector<unknown>[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((reflector) => reflector.stop()));
});

interface Item {
  readonly name: string;
  readonly value: unknown;
}

function setUp(options: Partial<ReflectorOptions<Item>> = {}, api = new MemoryApi()) {
  const clock = new FakeClock();
  const told: string[] = [];
  const reflector = new Reflector<Item>({
    transport: api,
    resource: RESOURCES.pods,
    project: (object) => (object["hidden"] ? undefined : { name: object.metadata.name, value: object["value"] }),
    clock,
    random: () => 0,
    ...options,
  });
  reflector.subscribe({
    upsert: (key, item, previous) => told.push(`${previous ? "changed" : "added"} ${key}=${String(item.value)}`),
    delete: (key, item) => told.push(`deleted ${key}=${String(item.value)}`),
    synced: () => told.push("synced"),
  });
  running.push(reflector);
  return { api, clock, reflector, told };
}

const contents = (reflector: Reflector<Item>) =>
  [...reflector.items.values()].map(({ name, value }) => `${name}=${String(value)}`).sort();
const watches = (api: MemoryApi) => api.requests.filter((request) => request.query?.["watch"]);
const lists = (api: MemoryApi) => api.requests.filter((request) => !request.query?.["watch"]);

test.for([{ useWatchList: false }, { useWatchList: true }])(
  "tells the initial set, then synced, then each change, %o",
  async ({ useWatchList }) => {
    const { api, reflector, told } = setUp({ useWatchList, pageSize: 2 });
    for (const name of ["a", "b", "c"]) api.put(name, { value: 1 });
    reflector.start();
    expect(reflector.staleForMs()).toBe(Infinity);
    await reflector.whenSynced();
    await settled();
    expect(told).toEqual(["added ns/a=1", "added ns/b=1", "added ns/c=1", "synced"]);
    api.put("a", { value: 2 });
    api.remove("b");
    api.put("d", { value: 1 });
    await settled();
    expect(told.slice(4)).toEqual(["changed ns/a=2", "deleted ns/b=1", "added ns/d=1"]);
    expect(lists(api)).toHaveLength(useWatchList ? 0 : 2);
  },
);

test("asks for pages, selectors, bookmarks and a random server-side time-out", async () => {
  const { api, reflector } = setUp({
    pageSize: 1,
    random: () => 0.5,
    namespace: "ns",
    labelSelector: "l=1",
    fieldSelector: "spec.nodeName=n",
  });
  api.put("a");
  api.put("b");
  reflector.start();
  await settled();
  const scope = { labelSelector: "l=1", fieldSelector: "spec.nodeName=n" };
  expect(api.requests.map((request) => [request.path, request.query])).toEqual([
    ["/api/v1/namespaces/ns/pods", { ...scope, limit: 1, continue: undefined }],
    ["/api/v1/namespaces/ns/pods", { ...scope, limit: 1, continue: "12/1" }],
    [
      "/api/v1/namespaces/ns/pods",
      { ...scope, watch: true, allowWatchBookmarks: true, timeoutSeconds: 450, resourceVersion: "12" },
    ],
  ]);
});

test("asks for one unpaged list with page size 0", async () => {
  const { api, reflector } = setUp({ pageSize: 0 });
  reflector.start();
  await settled();
  expect(lists(api)[0]?.query).toMatchObject({ limit: undefined });
});

test("a continue token that expired starts the list again, without the first attempt's objects", async () => {
  const { api, reflector, told } = setUp({ pageSize: 1 });
  api.put("a", { value: 1 });
  api.put("b", { value: 1 });
  api.afterPage = () => {
    api.afterPage = () => {};
    api.remove("a");
    api.compact();
  };
  reflector.start();
  await settled();
  expect(told).toEqual(["added ns/b=1", "synced"]);
});

test.for([
  { name: "422, feature gate off", failure: undefined, offers: false },
  {
    name: "500, etcd too old",
    failure: new KubeError("no progress notify", { status: 500, reason: "InternalError" }),
    offers: true,
  },
])("lists where the streamed list is refused: $name", async ({ failure, offers }) => {
  const { api, reflector, told } = setUp({ useWatchList: true });
  api.offersWatchList = offers;
  if (failure) api.failures.push(failure);
  api.put("a", { value: 1 });
  reflector.start();
  await settled();
  expect(told).toEqual(["added ns/a=1", "synced"]);
  expect(lists(api)).toHaveLength(1);
});

test("lists where a server ignores sendInitialEvents and never ends the initial events", async () => {
  const { api, clock, reflector, told } = setUp({ useWatchList: true });
  const stream = api.stream.bind(api);
  vi.spyOn(api, "stream").mockImplementation((request) =>
    stream({ ...request, query: { ...request.query, sendInitialEvents: undefined, resourceVersion: "99" } }),
  );
  api.put("a", { value: 1 });
  reflector.start();
  await clock.run(19_000);
  expect(reflector.synced).toBe(false);
  await clock.run(1_000);
  expect(told).toEqual(["added ns/a=1", "synced"]);
});

test("waits instead of falling back when a streamed list is throttled, for as long as the server asks", async () => {
  const { api, clock, reflector } = setUp({ useWatchList: true });
  api.failures.push(new KubeError("slow down", { status: 429, reason: "TooManyRequests", retryAfterMs: 7_000 }));
  reflector.start();
  await clock.run(6_900);
  expect(api.requests).toHaveLength(1);
  await clock.run(200);
  expect(lists(api)).toHaveLength(0);
  expect(reflector.synced).toBe(true);
});

test("resumes from the last event or bookmark, with neither list nor repetition", async () => {
  const { api, clock, reflector, told } = setUp();
  reflector.start();
  await settled();
  api.put("a", { value: 1 });
  await settled();
  api.cut();
  api.put("b", { value: 1 });
  await clock.run(1_000);
  expect(watches(api).at(-1)?.query?.["resourceVersion"]).toBe("11");
  api.put("elsewhere", { hidden: true });
  api.bookmark();
  await settled();
  api.cut(broken());
  await clock.run(1_000);
  expect(watches(api).at(-1)?.query?.["resourceVersion"]).toBe("13");
  expect(told).toEqual(["synced", "added ns/a=1", "added ns/b=1"]);
  expect(lists(api)).toHaveLength(1);
});

test.for([{ how: "as HTTP 410" }, { how: "as an ERROR event" }])(
  "lists again after 410 $how and tells exactly the differences",
  async ({ how }) => {
    const { api, clock, reflector, told } = setUp();
    for (const name of ["same", "changed", "gone"]) api.put(name, { value: 1 });
    reflector.start();
    await settled();
    told.length = 0;
    if (how === "as HTTP 410") api.cut();
    else api.expireWatches();
    api.put("changed", { value: 2 });
    api.remove("gone");
    api.put("new", { value: 1 });
    api.compact();
    await clock.run(1_000);
    expect(told).toEqual(["deleted ns/gone=1", "changed ns/changed=2", "added ns/new=1"]);
    expect(lists(api)).toHaveLength(2);
  },
);

test("items and indexes show the whole new state when the first difference of a new list is told", async () => {
  const { api, clock, reflector } = setUp();
  const seen: string[] = [];
  reflector.subscribe({
    upsert: () =>
      seen.push(
        `${contents(reflector).join()} | ${index
          .get("2")
          .map((item) => item.name)
          .join()}`,
      ),
    delete: () => {},
  });
  const index = new Index(reflector, (item) => [String(item.value)]);
  reflector.start();
  await settled();
  api.cut();
  api.put("a", { value: 2 });
  api.put("b", { value: 2 });
  api.compact();
  await clock.run(1_000);
  expect(seen).toEqual(["a=2,b=2 | a,b", "a=2,b=2 | a,b"]);
});

test("a projection that returns undefined or throws removes the object", async () => {
  const log = { ...silentLog, error: vi.fn<(fields: object, message: string) => void>() };
  const { api, reflector, told } = setUp({
    log,
    project: (object) => {
      if (object["bad"]) throw new Error("cannot read it");
      return object["hidden"] ? undefined : { name: object.metadata.name, value: object["value"] };
    },
  });
  api.put("a", { value: 1 });
  api.put("b", { value: 1 });
  reflector.start();
  await settled();
  api.put("a", { hidden: true });
  api.put("b", { bad: true });
  await settled();
  expect(told.slice(3)).toEqual(["deleted ns/a=1", "deleted ns/b=1"]);
  expect(log.error).toHaveBeenCalledOnce();
});

test("a subscriber that throws is reported and harms nobody", async () => {
  const log = { ...silentLog, error: vi.fn<(fields: object, message: string) => void>() };
  const { api, reflector } = setUp({ log });
  reflector.subscribe({
    upsert: () => {
      throw new Error("mine");
    },
    delete: () => {},
  });
  const later: string[] = [];
  reflector.subscribe({ upsert: (key) => later.push(key), delete: () => {} });
  api.put("a");
  reflector.start();
  await settled();
  api.put("b");
  await settled();
  expect(later).toEqual(["ns/a", "ns/b"]);
  expect(log.error).toHaveBeenCalledTimes(2);
});

test("a late subscriber is told what is there, one that left is told nothing", async () => {
  const { api, reflector } = setUp();
  api.put("a");
  reflector.start();
  await settled();
  const told: string[] = [];
  const leave = reflector.subscribe({
    upsert: (key) => told.push(key),
    delete: () => {},
    synced: () => told.push("synced"),
  });
  expect(told).toEqual(["ns/a", "synced"]);
  leave();
  api.put("b");
  await settled();
  expect(told).toHaveLength(2);
});

test("opens a stalled watch anew and says how stale it is", async () => {
  const { api, clock, reflector } = setUp();
  reflector.start();
  await settled();
  await clock.run(60_000);
  api.bookmark();
  await clock.run(89_000);
  expect(reflector.staleForMs()).toBe(89_000);
  expect(watches(api)).toHaveLength(1);
  await clock.run(1_000);
  expect(watches(api)).toHaveLength(2);
  expect(api.watchers.size).toBe(1);
  expect(reflector.staleForMs()).toBe(90_000);
  api.bookmark();
  await settled();
  expect(reflector.staleForMs()).toBe(0);
});

test("a watch that ends at once, again and again, does not spin", async () => {
  const { api, clock, reflector } = setUp();
  const stream = api.stream.bind(api);
  vi.spyOn(api, "stream").mockImplementation(async (request) => {
    const answer = await stream(request);
    api.bookmark();
    api.cut();
    return answer;
  });
  reflector.start();
  await clock.run(60_000);
  expect(watches(api).length).toBeLessThan(20);
  expect(watches(api).length).toBeGreaterThan(8);
});

test("a healthy watch that the server ends is followed at once; the wait after failures begins small again", async () => {
  const { api, clock, reflector } = setUp();
  reflector.start();
  await settled();
  await clock.run(30_000);
  api.cut();
  await settled();
  expect(watches(api)).toHaveLength(2);
});

test("never gives up, waits longer and longer up to the limit, and names the problem meanwhile", async () => {
  const { api, clock, reflector } = setUp({ maxBackoffMs: 4_000 });
  const at: number[] = [];
  const start = clock.now();
  vi.spyOn(api, "request").mockImplementation(() => {
    at.push(clock.now() - start);
    return Promise.reject(new KubeError("connect ECONNREFUSED", { status: 0, reason: "NetworkError" }));
  });
  reflector.start();
  await clock.run(3_600_000);
  const waits = at.slice(1).map((time, i) => time - at[i]!);
  expect(waits.slice(0, 7)).toEqual([100, 200, 400, 800, 1600, 2000, 2000]);
  expect(at.length).toBeGreaterThan(1_700);
  expect(reflector.problem).toContain("ECONNREFUSED");
  vi.restoreAllMocks();
  await clock.run(2_000);
  expect(reflector.synced).toBe(true);
  expect(reflector.problem).toBeUndefined();
});

test("lists again when the server keeps refusing its version, as after a restored etcd", async () => {
  const { api, clock, reflector } = setUp();
  reflector.start();
  await settled();
  const refused = () => new KubeError("Too large resource version", { status: 504, reason: "Timeout" });
  api.failures.push(refused(), refused(), refused());
  api.cut();
  await clock.run(10_000);
  expect(lists(api)).toHaveLength(2);
  expect(api.watchers.size).toBe(1);
});

test("stop ends the watch and tells nothing afterwards", async () => {
  const { api, reflector, told } = setUp();
  reflector.start();
  await settled();
  await reflector.stop();
  expect(api.watchers.size).toBe(0);
  api.put("a");
  await settled();
  expect(told).toEqual(["synced"]);
  expect(() => reflector.start()).toThrow("was stopped");
});

test("stop during a back-off and during a list resolves", async () => {
  const { api, clock, reflector } = setUp();
  vi.spyOn(api, "request").mockImplementation(
    (request) =>
      new Promise((_, reject) =>
        request.signal?.addEventListener("abort", () => reject(request.signal!.reason as Error)),
      ),
  );
  reflector.start();
  await settled();
  await reflector.stop();
  expect(clock.pending).toBe(0);
  expect(reflector.synced).toBe(false);
});

test("whenSynced obeys its signal", async () => {
  const { reflector } = setUp();
  const abort = new AbortController();
  const waiting = reflector.whenSynced(abort.signal);
  abort.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
});

const name = fc.constantFrom("a", "b", "c", "d");
const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("put" as const), name, value: fc.nat(3), hidden: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("remove" as const), name }) },
  fc.record({ do: fc.constantFrom("cut", "break", "expire", "compact", "bookmark", "refuse", "settle", "wait") }),
);

test.for([{ useWatchList: false }, { useWatchList: true }])(
  "after any history the items equal the server's objects, %o",
  async ({ useWatchList }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        const { api, clock, reflector } = setUp({ useWatchList, pageSize: 2 });
        const replayed = new Map<string, Item>();
        const wrong: string[] = [];
        reflector.subscribe({
          upsert: (key, item, previous) => {
            if (replayed.get(key) !== previous) wrong.push(`upsert ${key}`);
            replayed.set(key, item);
          },
          delete: (key, item) => {
            if (replayed.get(key) !== item) wrong.push(`delete ${key}`);
            replayed.delete(key);
          },
        });
        reflector.start();
        for (const step of commands) {
          if (step.do === "put") api.put(step.name, { value: step.value, hidden: step.hidden });
          else if (step.do === "remove") api.remove(step.name);
          else if (step.do === "cut") api.cut();
          else if (step.do === "break") api.cut(broken());
          else if (step.do === "expire") api.expireWatches();
          else if (step.do === "compact") api.compact();
          else if (step.do === "bookmark") api.bookmark();
          else if (step.do === "refuse")
            api.failures.push(new KubeError("later", { status: 503, reason: "ServiceUnavailable" }));
          else if (step.do === "wait") await clock.run(100_000);
          else await settled();
        }
        await clock.run(200_000);
        const expected = [...api.objects.values()]
          .filter((object) => !object["hidden"])
          .map((object) => `${object.metadata.name}=${String(object["value"])}`);
        expect(contents(reflector)).toEqual(expected.sort());
        expect(new Map(reflector.items)).toEqual(replayed);
        expect(wrong).toEqual([]);
        await reflector.stop();
        expect(clock.pending).toBe(0);
        expect(api.watchers.size).toBe(0);
      }),
      { numRuns: 150 },
    );
  },
);
