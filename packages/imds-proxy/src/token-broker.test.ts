import { describe, expect, test } from "vitest";
import { FairLimiter } from "./fair-limiter.ts";
import { FakeClock } from "../test/fake-clock.ts";
import { FakeSource, identity, pod, token } from "../test/fixtures.ts";
import { TokenBroker } from "./token-broker.ts";
import type { BrokerRequest, BrokerResult } from "./token-broker.ts";
import type { SourceOutcome } from "./token-source.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NEVER = new AbortController().signal;
const unavailable: SourceOutcome = { kind: "unavailable", message: "IMDS answered 500" };
const notFound: SourceOutcome = { kind: "identity-not-found", message: "Identity not found" };

function setUp(source: FakeSource, options: { cache?: boolean; maxEntries?: number } = {}) {
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
