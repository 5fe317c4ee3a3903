import { describe, expect, test } from "vitest";
import { FairLimiter } from "./fair-limiter.ts";
import { FakeClock } from "../test/fake-clock.ts";
import { FakeSource, identity, pod, token } from "../test/fixtures.ts";
import { TokenBroker } from "./token-broker.ts";
import type { BrokerRequest, BrokerResult } from "./token-broker.ts";
import type { SourceOutcome, TokenSource } from "./token-source.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NEVER = new AbortController().signal;
const unavailable: SourceOutcome = { kind: "unavailable", message: "IMDS answered 500" };
const notFound: SourceOutcome = { kind: "identity-not-found", message: "Identity not found" };

function setUp(
  source: TokenSource,
  options: { cache?: boolean; maxEntries?: number; podBurst?: number; podRate?: number } = {},
) {
  const clock = new FakeClock();
  const limiter = new FairLimiter({ clock, ratePerSecond: 1_000, concurrency: 100, maxQueuedPerKey: 5_000 });
  const broker = new TokenBroker({ clock, limiter, random: () => 0.5, ...options });
  const record = identity("a");
  const request = (change: Partial<BrokerRequest> = {}): BrokerRequest => ({
    source,
    identity: record,
    resource: "r",
    capabilities: undefined,
    bypassCache: false,
    pod: pod("p"),
    attachedAtMs: undefined,
    ...change,
  });
  const get = async (change: Partial<BrokerRequest> = {}, advanceMs = 2_000): Promise<BrokerResult> => {
    const result = broker.get(request(change), NEVER);
    await clock.advance(advanceMs);
    return result;
  };
  return { clock, broker, request, get };
}

const hang = (): Promise<SourceOutcome> => new Promise(() => undefined);

function accessToken(result: BrokerResult): string {
  if (result.kind !== "token") throw new Error(result.kind);
  return result.answer.accessToken;
}

describe("one call upstream", () => {
  test("for a thousand requests at once", async () => {
    const source = new FakeSource(token("t"));
    const { clock, broker, request } = setUp(source);
    const results = Array.from({ length: 1_000 }, (_, index) =>
      broker.get(request({ pod: pod(`pod-${index}`) }), NEVER),
    );
    await clock.advance(10);
    expect((await Promise.all(results)).map(accessToken)).toEqual(Array.from({ length: 1_000 }, () => "t"));
    expect(source.requests).toHaveLength(1);
  });

  test("that outlives the client that began it", async () => {
    let land: (outcome: SourceOutcome) => void = () => undefined;
    const source = new FakeSource(() => new Promise((resolve) => (land = resolve)));
    const { clock, broker, request } = setUp(source);
    const leaving = new AbortController();
    const first = broker.get(request(), leaving.signal);
    const second = broker.get(request(), NEVER);
    await clock.advance(1);
    leaving.abort(new Error("left"));
    await expect(first).rejects.toThrow("left");
    land(token("t"));
    expect(accessToken(await second)).toBe("t");
    expect(source.requests).toHaveLength(1);
  });

  test.for([
    ["another resource", { resource: "r/" }],
    ["other capabilities", { capabilities: "cp1" }],
    ["an edited identity", { identity: identity("a", { clientID: "other" }) }],
    ["a re-created identity", { identity: identity("a", {}, { uid: "other" }) }],
  ] as const)("%s is another key", async ([, change]) => {
    const source = new FakeSource(token("t"));
    const { get } = setUp(source);
    await get();
    await get(change);
    expect(source.requests).toHaveLength(2);
  });

  test("a pod of the same identity shares the token", async () => {
    const source = new FakeSource(token("t"));
    const { get } = setUp(source);
    await get({ pod: pod("one") });
    expect(await get({ pod: pod("two") })).toMatchObject({ cache: "hit" });
  });

  test("unless the source says that it depends on the pod", async () => {
    const source = Object.assign(new FakeSource(token("t")), {
      inputs: (request: BrokerRequest) => request.pod.serviceAccountName + request.pod.uid,
    });
    const { get } = setUp(source);
    await get({ pod: pod("one") });
    expect(await get({ pod: pod("two") })).toMatchObject({ cache: "miss" });
    expect(await get({ pod: pod("one") })).toMatchObject({ cache: "hit" });
  });
});

describe("life of a token", () => {
  test("expires_in counts down in whole seconds", async () => {
    const { clock, broker, request, get } = setUp(new FakeSource(token("t", 1_000)));
    await get();
    await clock.advance(10_500);
    expect(broker.peek(request())).toMatchObject({ remainingSeconds: 1_000 - 13 });
  });

  test("refreshed ahead from half of what remained, behind the client's back", async () => {
    const source = new FakeSource(token("old"), token("new"));
    const { clock, broker, request, get } = setUp(source);
    await get();
    await clock.advance(11 * HOUR);
    expect(accessToken(await get())).toBe("old");
    expect(source.requests).toHaveLength(1);
    await clock.advance(2 * HOUR);
    expect(accessToken(await get())).toBe("old");
    expect(source.requests).toHaveLength(2);
    expect(accessToken(broker.peek(request()) as BrokerResult)).toBe("new");
  });

  test("refreshes are five minutes apart while the source is down, and the token is served", async () => {
    const source = new FakeSource(token("old"), unavailable);
    const { clock, get } = setUp(source);
    await get();
    await clock.advance(13 * HOUR);
    for (let index = 0; index < 10; index++) expect(accessToken(await get({}, 0))).toBe("old");
    expect(source.requests).toHaveLength(2);
    await clock.advance(5 * MINUTE);
    await get({}, 0);
    expect(source.requests).toHaveLength(3);
  });

  test("under five minutes: a new one, or the old one while the source is down, or the error once it is dead", async () => {
    const source = new FakeSource(token("old"), unavailable);
    const { clock, get } = setUp(source);
    await get();
    await clock.advance(24 * HOUR - 2 * MINUTE);
    expect(await get()).toMatchObject({ kind: "token", cache: "stale" });
    await clock.advance(2 * MINUTE);
    expect(await get()).toMatchObject({ kind: "unavailable" });
    source.script = [token("new")];
    await clock.advance(2_000);
    expect(accessToken(await get())).toBe("new");
  });

  test.for([
    notFound,
    { kind: "mismatch", message: "other" },
    { kind: "refused", reason: "imds-refused", message: "no" },
  ] as const)("a source that works and says %j takes the old token away", async (outcome) => {
    const { clock, get } = setUp(new FakeSource(token("old"), outcome));
    await get();
    await clock.advance(24 * HOUR - 2 * MINUTE);
    expect((await get()).kind).toBe(outcome.kind);
  });

  test("an identical token counts as refreshed", async () => {
    const source = new FakeSource(token("t"), token("t", 40_000));
    const { clock, get } = setUp(source);
    await get();
    await clock.advance(13 * HOUR);
    await get();
    await clock.advance(5 * MINUTE);
    await get();
    expect(source.requests).toHaveLength(2);
  });

  test("a wall clock that says less caps the life", async () => {
    const { clock, broker, request } = setUp(
      new FakeSource({
        kind: "token",
        answer: {
          head: "",
          tail: "",
          clientId: undefined,
          accessToken: "t",
          expiresInSeconds: 86_400,
          expiresOnSeconds: Date.UTC(2026, 0, 1, 1) / 1000,
        },
      }),
    );
    const result = broker.get(request(), NEVER);
    await clock.advance(0);
    expect(await result).toMatchObject({ remainingSeconds: 3_600 });
  });
});

describe("failures", () => {
  test("a refusal is remembered for five seconds", async () => {
    const source = new FakeSource({ kind: "refused", reason: "imds-refused", message: "AADSTS500011" });
    const { clock, get } = setUp(source);
    await get();
    await get();
    expect(source.requests).toHaveLength(1);
    await clock.advance(5_000);
    await get();
    expect(source.requests).toHaveLength(2);
  });

  test("S62 unavailable is tried three times", async () => {
    const source = new FakeSource(unavailable);
    const { get } = setUp(source);
    expect(await get()).toEqual(unavailable);
    expect(source.requests).toHaveLength(3);
  });

  test("a mismatch is never kept", async () => {
    const source = new FakeSource({ kind: "mismatch", message: "other" }, token("t"));
    const { get } = setUp(source);
    expect((await get()).kind).toBe("mismatch");
    expect((await get()).kind).toBe("token");
  });

  test("S62 Identity not found is retried while IMDS may lag, and answered the moment it knows", async () => {
    const source = new FakeSource(notFound, notFound, notFound, token("t"));
    const { clock, broker, request } = setUp(source);
    const result = broker.get(request({ attachedAtMs: 0 }), NEVER);
    await clock.advance(3_499);
    expect(source.requests).toHaveLength(3);
    await clock.advance(1);
    expect(accessToken(await result)).toBe("t");
  });

  test("S62 Identity not found is final three minutes after the attachment, and not remembered", async () => {
    const source = new FakeSource(notFound);
    const { clock, broker, request, get } = setUp(source);
    await clock.advance(3 * MINUTE);
    expect((await get({ attachedAtMs: 0 })).kind).toBe("identity-not-found");
    expect((await broker.get(request({ attachedAtMs: 0 }), NEVER)).kind).toBe("identity-not-found");
    expect(source.requests).toHaveLength(2);
  });

  test("no further attempt when everybody has left", async () => {
    const source = new FakeSource(notFound);
    const { clock, broker, request } = setUp(source);
    const leaving = new AbortController();
    const result = broker.get(request({ attachedAtMs: 0 }), leaving.signal);
    await clock.advance(100);
    leaving.abort(new Error("left"));
    await expect(result).rejects.toThrow("left");
    await clock.advance(MINUTE);
    expect(source.requests).toHaveLength(1);
  });
});

describe("bypass_cache", () => {
  test("asks the source, passes it on, and replaces the token, once in 30 s per pod and key", async () => {
    const source = new FakeSource(token("1"), token("2"), token("3"));
    const { clock, get } = setUp(source);
    await get();
    expect(await get({ bypassCache: true })).toMatchObject({ cache: "bypass" });
    expect(source.requests.map((request) => request.bypassCache)).toEqual([false, true]);
    expect(accessToken(await get())).toBe("2");
    expect(accessToken(await get({ bypassCache: true }))).toBe("2");
    expect(accessToken(await get({ bypassCache: true, pod: pod("other") }))).toBe("3");
    await clock.advance(30_000);
    await get({ bypassCache: true });
    expect(source.requests).toHaveLength(4);
  });

  test("never joins a flight that began before it", async () => {
    const source = new FakeSource(() => new Promise(() => undefined), token("new"));
    const { clock, broker, request } = setUp(source);
    void broker.get(request(), NEVER);
    await clock.advance(1);
    const bypass = broker.get(request({ bypassCache: true }), NEVER);
    await clock.advance(1);
    expect(accessToken(await bypass)).toBe("new");
  });
});

describe("bounds", () => {
  test("the oldest token goes when there are too many", async () => {
    const { broker, get } = setUp(new FakeSource(token("t")), { maxEntries: 2 });
    for (const resource of ["a", "b", "c"]) await get({ resource });
    expect(broker.size).toBe(2);
    expect(await get({ resource: "a" })).toMatchObject({ cache: "miss" });
  });

  test("an invalidated identity's tokens are gone", async () => {
    const { broker, get } = setUp(new FakeSource(token("t")));
    await get();
    expect(broker.invalidate("uid-a")).toBe(1);
    expect(await get()).toMatchObject({ cache: "miss" });
  });

  test("without a cache every request asks", async () => {
    const source = new FakeSource(token("t"));
    const { get } = setUp(source, { cache: false });
    await get();
    expect(await get()).toMatchObject({ cache: "off" });
    expect(source.requests).toHaveLength(2);
  });
});

describe("a source that times out", () => {
  test("costs a client that could have the old token a second, once, and others nothing", async () => {
    const { clock, broker, request, get } = setUp(new FakeSource(token("old"), hang));
    await get();
    await clock.advance(24 * HOUR - 2 * MINUTE);
    const first = broker.get(request(), NEVER);
    await clock.advance(999);
    const second = broker.get(request(), NEVER);
    await clock.advance(1);
    expect(await first).toMatchObject({ kind: "token", cache: "stale" });
    expect(await second).toMatchObject({ kind: "token", cache: "stale" });
    const third = broker.get(request(), NEVER);
    await clock.advance(0);
    expect(await third).toMatchObject({ kind: "token", cache: "stale" });
  });

  test("makes a client wait that has nothing else", async () => {
    const { clock, broker, request } = setUp(new FakeSource(hang));
    const leaving = new AbortController();
    const result = broker.get(request(), leaving.signal);
    await clock.advance(30_000);
    leaving.abort(new Error("left"));
    await expect(result).rejects.toThrow("left");
  });

  test("and answers 500 is left alone for ten seconds while the old token lives", async () => {
    const source = new FakeSource(token("old"), unavailable);
    const { clock, get } = setUp(source);
    await get();
    await clock.advance(24 * HOUR - 2 * MINUTE);
    expect(await get()).toMatchObject({ kind: "token", cache: "stale" });
    const tries = source.requests.length;
    for (let index = 0; index < 80; index++)
      expect(await get({}, 100)).toMatchObject({ kind: "token", cache: "stale" });
    expect(source.requests).toHaveLength(tries);
  });
});

describe("a source that asks to be left alone", () => {
  const throttled: SourceOutcome = { kind: "unavailable", message: "Entra answered 429", retryAfterMs: 60_000 };

  test("is, for as long as it says", async () => {
    const source = new FakeSource(throttled);
    const { clock, get } = setUp(source);
    expect(await get()).toEqual(throttled);
    await clock.advance(57_000);
    expect(await get({}, 0)).toEqual(throttled);
    expect(source.requests).toHaveLength(1);
    await clock.advance(1_000);
    await get();
    expect(source.requests).toHaveLength(2);
  });

  test("a short rest is waited for", async () => {
    const source = new FakeSource({ kind: "unavailable", message: "429", retryAfterMs: 2_000 }, token("t"));
    const { clock, broker, request } = setUp(source);
    const result = broker.get(request(), NEVER);
    await clock.advance(1_999);
    expect(source.requests).toHaveLength(1);
    await clock.advance(1);
    expect(accessToken(await result)).toBe("t");
  });
});

describe("not yet", () => {
  const notYet: SourceOutcome = { kind: "not-yet", reason: "federated-credential-missing", message: "AADSTS70021" };

  test("is asked again until it is there, and kept by nobody", async () => {
    const source = new FakeSource(notYet, notYet, token("t"));
    const { clock, broker, request } = setUp(source);
    const result = broker.get(request(), NEVER);
    await clock.advance(2_999);
    expect(source.requests).toHaveLength(2);
    await clock.advance(1);
    expect(accessToken(await result)).toBe("t");
  });

  test("a client whose time is over hears what it was waiting for", async () => {
    const { clock, broker, request } = setUp(new FakeSource(notYet));
    const leaving = new AbortController();
    const result = broker.get(request(), leaving.signal);
    await clock.advance(55_000);
    leaving.abort(new Error("over"));
    expect(await result).toEqual({ ...notYet, pending: true });
  });

  test("five minutes after it was first said it is the answer, at once and every time anew", async () => {
    const source = new FakeSource(notYet);
    const { clock, broker, request } = setUp(source);
    const result = broker.get(request(), NEVER);
    await clock.advance(5 * MINUTE + 8_000);
    expect(await result).toEqual(notYet);
    const before = source.requests.length;
    for (let round = 0; round < 2; round++) {
      const again = broker.get(request(), NEVER);
      await clock.advance(0);
      expect(await again).toEqual(notYet);
    }
    expect(source.requests).toHaveLength(before + 2);
  });
});

describe("inputs that have to be found out", () => {
  class Prepared extends FakeSource {
    version: string | undefined;
    prepared = 0;
    problem: Awaited<ReturnType<NonNullable<TokenSource["prepare"]>>>;

    inputs(): string | undefined {
      return this.version;
    }

    async prepare(): Promise<typeof this.problem> {
      this.prepared++;
      if (this.problem === undefined) this.version = "1";
      return this.problem;
    }
  }

  test("once, before the token is looked for", async () => {
    const source = new Prepared(token("t"));
    const { broker, request, get } = setUp(source);
    expect(await get()).toMatchObject({ cache: "miss" });
    expect(broker.peek(request())).toMatchObject({ cache: "hit" });
    expect(source.prepared).toBe(1);
    source.version = undefined;
    expect(await get()).toMatchObject({ cache: "hit" });
  });

  test("another version is another token", async () => {
    const source = new Prepared(token("1"), token("2"));
    const { get } = setUp(source);
    await get();
    source.version = "2";
    expect(accessToken(await get())).toBe("2");
  });

  test("the source is not asked when they cannot be had", async () => {
    const source = new Prepared(token("t"));
    source.problem = { kind: "refused", reason: "secret-missing", message: "no Secret" };
    const { get } = setUp(source);
    expect(await get()).toEqual(source.problem);
    expect(source.requests).toHaveLength(0);
  });
});

describe("one pod", () => {
  test("may cause so many calls and no more; what is cached costs it nothing, and others have their own share", async () => {
    const source = new FakeSource(token("t"));
    const { clock, get } = setUp(source, { podBurst: 3, podRate: 1 });
    for (const resource of ["a", "b", "c"]) expect((await get({ resource }, 0)).kind).toBe("token");
    expect(await get({ resource: "d" }, 0)).toMatchObject({ kind: "overloaded" });
    expect(await get({ resource: "a" }, 0)).toMatchObject({ cache: "hit" });
    expect((await get({ resource: "d", pod: pod("other") }, 0)).kind).toBe("token");
    expect(await get({ resource: "e" }, 0)).toMatchObject({ kind: "overloaded" });
    await clock.advance(1_000);
    expect((await get({ resource: "e" }, 0)).kind).toBe("token");
  });
});

describe("a change", () => {
  test("of the identity voids what is on its way, and what was refused", async () => {
    let land: (outcome: SourceOutcome) => void = () => undefined;
    const source = new FakeSource(
      () => new Promise((resolve) => (land = resolve)),
      { kind: "refused", reason: "entra-refused", message: "no" },
      token("new"),
    );
    const { clock, broker, request, get } = setUp(source);
    const first = broker.get(request(), NEVER);
    await clock.advance(1);
    broker.invalidate("uid-a");
    land(token("old"));
    expect(accessToken(await first)).toBe("old");
    expect(broker.size).toBe(0);
    expect((await get()).kind).toBe("refused");
    broker.invalidate("uid-a");
    expect(accessToken(await get())).toBe("new");
  });

  test("of the pod forgets its share and its bypasses", async () => {
    const source = new FakeSource(token("t"));
    const { broker, get } = setUp(source, { podBurst: 2, podRate: 0.001 });
    await get();
    expect(await get({ bypassCache: true })).toMatchObject({ cache: "bypass" });
    expect(await get({ bypassCache: true })).toMatchObject({ cache: "hit" });
    broker.forgetPod("uid-p");
    expect(await get({ bypassCache: true })).toMatchObject({ cache: "bypass" });
  });
});

describe("handed over", () => {
  test("as JSON: same token, same life, same refresh; nothing that another version or hand wrote", async () => {
    const source = new FakeSource(token("t", 3_600));
    const { clock, broker, get } = setUp(source);
    await get({}, 0);
    await clock.advance(10 * MINUTE);
    const snapshot = JSON.parse(JSON.stringify(broker.export())) as Record<string, unknown>;

    const next = setUp(source);
    // Another process: its clock began when it did.
    await next.clock.advance(10 * MINUTE + 5_000);
    expect(next.broker.import(snapshot)).toBe(1);
    expect(next.broker.peek(next.request())).toMatchObject({ cache: "hit", remainingSeconds: 3_600 - 605 });
    expect(source.requests).toHaveLength(1);
    await next.clock.advance(20 * MINUTE);
    next.broker.peek(next.request());
    await next.clock.advance(0);
    expect(source.requests).toHaveLength(2);

    const strange = [
      undefined,
      "x",
      { ...snapshot, format: "podid-tokens/0" },
      { ...snapshot, takenAtMs: "now" },
      { ...snapshot, tokens: [null, { key: "k" }, { ...(snapshot["tokens"] as object[])[0], answer: { head: 1 } }] },
    ];
    for (const other of strange) expect(setUp(source).broker.import(other)).toBe(0);
  });

  test("what has expired stays behind, and one's own token is kept", async () => {
    const { clock, broker, get } = setUp(new FakeSource(token("old", 60)));
    await get({}, 0);
    const snapshot = broker.export();
    const next = setUp(new FakeSource(token("own")));
    await next.get({}, 0);
    expect(next.broker.import(snapshot)).toBe(0);
    await clock.advance(MINUTE);
    expect(broker.export().tokens).toEqual([]);
  });
});

/** What a full node costs its sources; the figures stand in the README. */
describe("110 pods with 5 identities and 4 resources each, for a day", () => {
  async function day(lifeSeconds: number) {
    const clock = new FakeClock();
    const limiter = new FairLimiter({ clock, ratePerSecond: 10, concurrency: 3, maxQueuedPerKey: 5_000 });
    const starts: number[] = [];
    let running = 0;
    let most = 0;
    const source: TokenSource = {
      fetch: async () => {
        starts.push(clock.monotonicMs());
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 50));
        running--;
        return token("t", lifeSeconds);
      },
    };
    const broker = new TokenBroker({ clock, limiter, random: () => 0.5 });
    const pods = Array.from({ length: 110 }, (_, index) => pod(`p${index}`));
    const identities = Array.from({ length: 5 }, (_, index) => identity(`i${index}`));
    const ask = (): Promise<unknown> =>
      Promise.all(
        pods.flatMap((one) =>
          identities.flatMap((record) =>
            ["a", "b", "c", "d"].map(async (resource) => {
              const asked = { source, identity: record, resource, capabilities: undefined, bypassCache: false };
              const all = { ...asked, pod: one, attachedAtMs: undefined };
              return broker.peek(all) ?? broker.get(all, NEVER);
            }),
          ),
        ),
      );
    for (let minutes = 0; minutes < 24 * 60; minutes += 10) {
      const done = ask();
      await clock.advance(10 * MINUTE);
      await done;
    }
    const busiest = Math.max(
      ...starts.map((start) => starts.filter((other) => other >= start && other < start + 1_000).length),
    );
    return { ...broker.statistics, busiest, most };
  }

  test.for([
    { life: "24 h, as IMDS's", seconds: 86_400, upstream: 40 },
    { life: "1 h, as Entra's", seconds: 3_600, upstream: 960 },
  ])("tokens of $life", async ({ seconds, upstream }) => {
    const { tokens, failures, ...day1 } = await day(seconds);
    const asked = 110 * 5 * 4 * 144;
    expect(failures).toBe(0);
    expect(Object.values(tokens).reduce((sum, count) => sum + count)).toBe(asked);
    expect(tokens.miss).toBe(20);
    expect(day1.upstream).toBeLessThanOrEqual(upstream);
    expect(day1.hitRatio).toBeGreaterThan(0.9999);
    expect(day1.busiest).toBeLessThanOrEqual(10);
    expect(day1.most).toBeLessThanOrEqual(3);
  });
});
