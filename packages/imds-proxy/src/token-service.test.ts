import { describe, expect, test } from "vitest";
import { FairLimiter } from "./fair-limiter.ts";
import { FakeClock } from "../test/fake-clock.ts";
import {
  candidate,
  CLIENT_1,
  CLIENT_2,
  FakeDirectory,
  FakeSource,
  identity,
  jwt,
  pod,
  resourceId,
  token,
} from "../test/fixtures.ts";
import { ImdsForwarder } from "./imds-forwarder.ts";
import { parseRequest } from "./parse-request.ts";
import type { Attachment, Standing } from "./pod-directory.ts";
import { TokenBroker } from "./token-broker.ts";
import { TokenService } from "./token-service.ts";
import type { TokenServiceRules } from "./assessor.ts";
import type { TokenFacts, TokenResult } from "./token-result.ts";

const ADDRESS = "10.0.0.5";
const PENDING: Attachment = { kind: "pending", message: "AzureIdentity default/a is being attached" };
const one = identity("a");
const two = identity("b", { clientID: CLIENT_2 });

function setUp(source: FakeSource = new FakeSource(token("t")), rules: Partial<TokenServiceRules> = {}) {
  const clock = new FakeClock();
  const limiter = new FairLimiter({ clock, ratePerSecond: 1_000, concurrency: 100 });
  const directory = new FakeDirectory();
  const forwarded: string[] = [];
  const client = {
    get: (target: string) => {
      forwarded.push(target);
      return Promise.resolve({ status: 418, contentType: "text/x", retryAfter: undefined, body: "from IMDS" });
    },
    stream: () => Promise.reject(new Error("not used")),
  };
  const service = new TokenService({
    directory,
    clock,
    random: () => 0.5,
    broker: new TokenBroker({ clock, limiter, random: () => 0.5 }),
    forwarder: new ImdsForwarder({ client, tokenLimiter: limiter, metadataLimiter: limiter }),
    sources: { 0: source },
    rules,
  });
  const ask = (
    query = "",
    options: { connection?: object; gone?: AbortSignal } = {},
  ): TokenResult | Promise<TokenResult> => {
    const request = parseRequest({
      method: "GET",
      target: `/metadata/identity/oauth2/token?resource=r${query}`,
      rawHeaders: ["Metadata", "true"],
    });
    if (request.kind !== "token") throw new Error("no token request");
    return service.handle({
      request,
      address: ADDRESS,
      connection: options.connection ?? {},
      gone: () => options.gone ?? new AbortController().signal,
    });
  };
  const stand = (standing: Partial<Standing> = {}): void =>
    directory.put(ADDRESS, { pod: pod("p"), candidates: [candidate(one)], ...standing });
  return { clock, directory, service, ask, stand, source, forwarded };
}

function short({ reply, facts }: TokenResult): {
  status: number;
  reason: string | undefined;
  outcome: TokenFacts["outcome"];
} {
  return { status: reply.status, reason: facts.reason, outcome: facts.outcome };
}

async function settled(result: TokenResult | Promise<TokenResult>): Promise<TokenResult | "waiting"> {
  return Promise.race([result, Promise.resolve("waiting" as const)]);
}

describe("answers", () => {
  test("a cached token is answered without a promise", async () => {
    const { ask, stand } = setUp();
    stand();
    await ask();
    const second = ask();
    expect(second).not.toBeInstanceOf(Promise);
    expect((await second).facts).toMatchObject({ outcome: "token", cache: "hit", pod: { name: "p" } });
  });

  test.for([
    ["S71 client_id of the pod's identity", `&client_id=${CLIENT_2.toUpperCase()}`, { status: 200 }],
    ["resource id in another casing", `&msi_res_id=${resourceId("b").toUpperCase()}`, { status: 200 }],
    [
      "a foreign client_id",
      "&client_id=99999999-0000-0000-0000-000000000000",
      { status: 403, reason: "identity-not-bound" },
    ],
    ["a client id given as resource id", `&msi_res_id=${CLIENT_1}`, { status: 403, reason: "identity-not-bound" }],
    ["two kinds at once", `&client_id=${CLIENT_1}&object_id=1`, { status: 400, reason: "ambiguous-request" }],
  ] as const)("%s", async ([, query, want]) => {
    const { ask, stand } = setUp(new FakeSource(token("t")));
    stand({ candidates: [candidate(one), candidate(two)] });
    expect(short(await ask(query))).toMatchObject(want);
  });

  test("S70 without an id the heaviest binding wins, then the first by name, and the others are counted", async () => {
    const { ask, stand } = setUp();
    stand({ candidates: [candidate(two), candidate(one)] });
    expect((await ask()).facts).toMatchObject({ identity: { name: "a" }, others: 1 });
    stand({ candidates: [candidate(two, undefined, 1), candidate(one)] });
    expect((await ask()).facts).toMatchObject({ identity: { name: "b" } });
  });

  test("object_id is matched with the oid of the pod's own tokens", async () => {
    const source = new FakeSource(token(jwt({ oid: "OID-A" })), token(jwt({ oid: "oid-b" })));
    const { ask, stand } = setUp(source);
    stand({ candidates: [candidate(one), candidate(two)] });
    expect((await ask("&object_id=OID-B")).facts).toMatchObject({ outcome: "token", identity: { name: "b" } });
    expect(short(await ask("&object_id=oid-c"))).toMatchObject({ status: 403, reason: "identity-not-bound" });
    expect(source.requests).toHaveLength(2);
  });

  test("object_id of an identity that is not attached yet waits for it", async () => {
    const { clock, ask, stand } = setUp(new FakeSource(token(jwt({ oid: "oid-a" })), token(jwt({ oid: "oid-b" }))));
    const pending = candidate(two, { kind: "pending", message: "on its way" });
    stand({ candidates: [candidate(one), pending] });
    const result = ask("&object_id=oid-b");
    await clock.advance(1_000);
    expect(await settled(result)).toBe("waiting");
    stand({ candidates: [candidate(one), candidate(two)] });
    expect((await result).facts).toMatchObject({ outcome: "token", identity: { name: "b" } });
    stand({ candidates: [candidate(one), pending] });
    expect((await ask("&object_id=oid-a")).facts).toMatchObject({ outcome: "token", identity: { name: "a" } });
  });

  test("object_id: a refusal is not believed for ever", async () => {
    const refused = { kind: "refused", reason: "imds-refused", message: "no" } as const;
    const { clock, ask, stand } = setUp(new FakeSource(refused, token(jwt({ oid: "oid-a" }))));
    stand();
    expect(short(await ask("&object_id=oid-a"))).toMatchObject({ status: 403, reason: "object-id-unknown" });
    await clock.advance(61_000);
    expect((await ask("&object_id=oid-a")).facts).toMatchObject({ outcome: "token", identity: { name: "a" } });
  });

  test("object_id of an identity whose source answers, beside one whose source is down", async () => {
    const down = { kind: "unavailable", message: "down" } as const;
    const source = new FakeSource();
    source.fetch = ({ identity: { name } }) =>
      Promise.resolve(name === "b" ? token(jwt({ oid: "oid-b" })) : { ...down, retryAfterMs: 60_000 });
    const { ask, stand } = setUp(source);
    stand({ candidates: [candidate(one), candidate(two)] });
    expect((await ask("&object_id=oid-b")).facts).toMatchObject({ outcome: "token", identity: { name: "b" } });
    expect(short(await ask("&object_id=oid-a"))).toMatchObject({ status: 503, reason: "source-unavailable" });
  });

  test("object_id with the source down is retryable", async () => {
    const { clock, ask, stand } = setUp(new FakeSource({ kind: "unavailable", message: "down" }));
    stand();
    const result = ask("&object_id=x");
    await clock.advance(2_000);
    expect(short(await result)).toMatchObject({ status: 503, reason: "source-unavailable" });
  });

  test.for([
    [
      { kind: "mismatch", message: "m" },
      { status: 403, reason: "identity-mismatch" },
    ],
    [
      { kind: "refused", reason: "imds-refused", message: "m" },
      { status: 403, reason: "imds-refused" },
    ],
    [
      { kind: "identity-not-found", message: "Identity not found" },
      { status: 403, reason: "identity-not-found" },
    ],
    [
      { kind: "unavailable", message: "m" },
      { status: 503, reason: "source-unavailable" },
    ],
  ] as const)("S62 %j", async ([outcome, want]) => {
    const { clock, ask, stand } = setUp(new FakeSource(outcome));
    stand();
    const result = ask();
    await clock.advance(2_000);
    expect(short(await result)).toMatchObject(want);
  });

  test("a type without a source is refused", async () => {
    const { ask, stand } = setUp();
    stand({ candidates: [candidate(identity("c", { type: 3 }))] });
    expect(short(await ask())).toMatchObject({ status: 403, reason: "identity-type-unsupported" });
  });

  test("S65 an excepted pod hears IMDS, with every id it asked for", async () => {
    const { ask, stand, forwarded } = setUp();
    stand({ excepted: true, candidates: [] });
    const { reply } = await ask(`&client_id=${CLIENT_1}&bypass_cache=true`);
    expect(reply).toMatchObject({ status: 418, body: "from IMDS", headers: { "content-type": "text/x" } });
    expect(forwarded).toEqual([
      `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=r&client_id=${CLIENT_1}&bypass_cache=true`,
    ]);
  });
});

describe("waiting", () => {
  test("an unlabelled pod is told at once", async () => {
    const { ask, stand } = setUp();
    stand({ candidates: [], denial: { reason: "pod-not-labelled", message: "no label" } });
    const result = ask();
    expect(result).not.toBeInstanceOf(Promise);
    expect(short(await result)).toMatchObject({ status: 404, reason: "pod-not-labelled" });
  });

  test("two kinds of id at once are refused at once, whatever the pod still waits for", async () => {
    const { clock, ask, stand } = setUp();
    const young = pod("p", new Date(clock.wallMs()).toISOString());
    stand({ pod: young, candidates: [], denial: { reason: "no-binding", message: "none" } });
    const result = ask(`&client_id=${CLIENT_1}&msi_res_id=${resourceId("a")}`);
    expect(result).not.toBeInstanceOf(Promise);
    expect(short(await result)).toMatchObject({ status: 400, reason: "ambiguous-request" });
  });

  test("an unmatched pod waits while it is young, then gets 404", async () => {
    const { clock, ask, stand } = setUp();
    const young = pod("p", new Date(clock.wallMs() - 30_000).toISOString());
    stand({ pod: young, candidates: [], denial: { reason: "no-binding", message: "none" } });
    const result = ask();
    await clock.advance(29_999);
    expect(await settled(result)).toBe("waiting");
    await clock.advance(1);
    expect(short(await result)).toMatchObject({ status: 404, reason: "no-binding" });
    expect(short(await ask())).toMatchObject({ status: 404 });
  });

  test("S72 answered the moment it is attached", async () => {
    const { clock, directory, ask, stand } = setUp();
    stand({ candidates: [candidate(one, PENDING)] });
    const result = ask();
    await clock.advance(10_000);
    expect(await settled(result)).toBe("waiting");
    stand();
    await clock.advance(0);
    expect((await result).facts).toMatchObject({ outcome: "token", parkedMs: 10_000 });
    expect(directory.watchers).toBe(0);
  });

  test("S72 after 55 s 504 with a small Retry-After", async () => {
    const { clock, ask, stand } = setUp();
    stand({ candidates: [candidate(one, PENDING)] });
    const result = ask();
    await clock.advance(54_999);
    expect(await settled(result)).toBe("waiting");
    await clock.advance(1);
    const { reply } = await result;
    expect(reply.status).toBe(504);
    expect(reply.headers["retry-after"]).toBe("2");
    expect(JSON.parse(reply.body)).toMatchObject({
      error: "not-attached",
      error_description: expect.stringContaining("being attached") as string,
    });
  });

  describe("upstream's budgets", () => {
    const upstream: Partial<TokenServiceRules> = {
      maxWaitMs: 100_000,
      lateStatus: 404,
      upstreamWaiting: { createdAttempts: 16, assignedAttempts: 4, intervalSeconds: 5 },
    };
    const said = async (result: TokenResult | Promise<TokenResult>): Promise<string> =>
      (JSON.parse((await result).reply.body) as { error_description: string }).error_description;

    test.for([
      ["nothing assigned", { candidates: [candidate(one, PENDING)] }, "", "CREATED", 16, 80_000],
      [
        "stuck in Created",
        { candidates: [candidate(one, { ...PENDING, created: true })] },
        "",
        "ASSIGNED",
        20,
        100_000,
      ],
      ["no binding", { candidates: [], denial: { reason: "no-binding", message: "none" } }, "", "CREATED", 16, 80_000],
      [
        "no label",
        { candidates: [], denial: { reason: "pod-not-labelled", message: "none" } },
        "",
        "CREATED",
        16,
        80_000,
      ],
      [
        "asked by client id",
        { candidates: [candidate(one, PENDING)] },
        `&client_id=${one.spec.clientID}`,
        "CREATED",
        16,
        80_000,
      ],
    ] as const)("S72 %s", async ([, standing, query, state, attempts, ms]) => {
      const { clock, ask, stand } = setUp(undefined, upstream);
      stand(standing);
      const result = ask(query);
      await clock.advance(ms - 1);
      expect(await settled(result)).toBe("waiting");
      await clock.advance(1);
      expect((await result).reply.status).toBe(404);
      const prefix = query === "" ? "" : "clientID in request: 1111##### REDACTED #####1111, ";
      expect(await said(result)).toContain(
        `${prefix}getting assigned identities for pod default/p in ${state} state failed after ${attempts} attempts, retry duration [5]s, error: <nil>. Check MIC pod logs for identity assignment errors`,
      );
    });

    test("S72 an object that appears late has the second budget as well", async () => {
      const { clock, ask, stand } = setUp(undefined, upstream);
      stand({ candidates: [candidate(one, PENDING)] });
      const result = ask();
      await clock.advance(79_000);
      stand({ candidates: [candidate(one, { ...PENDING, created: true })] });
      await clock.advance(20_000);
      stand();
      await clock.advance(0);
      expect((await result).facts.outcome).toBe("token");
    });

    test("S72 what will not change is refused at once all the same", async () => {
      const { ask, stand } = setUp(undefined, upstream);
      stand();
      expect(short(await ask("&client_id=x"))).toMatchObject({ status: 403, reason: "identity-not-bound" });
    });
  });

  test("a source that never answers ends in 504 as well", async () => {
    const { clock, ask, stand } = setUp(new FakeSource(() => new Promise(() => undefined)));
    stand();
    const result = ask();
    await clock.advance(55_000);
    expect(short(await result)).toMatchObject({ status: 504, outcome: "timeout" });
  });

  test("S68 an address that appears later", async () => {
    const { clock, ask, stand } = setUp();
    const result = ask();
    await clock.advance(1_000);
    stand();
    await clock.advance(0);
    expect(short(await result)).toMatchObject({ status: 200 });
  });

  test("S68 an address that never appears", async () => {
    const { clock, ask } = setUp();
    const result = ask();
    await clock.advance(15_000);
    const { reply } = await result;
    expect([reply.status, reply.headers["retry-after"]]).toEqual([500, "1"]);
    expect(reply.body).toContain("pod list is empty");
  });

  test.for([
    [{ kind: "unsynced", message: "the caches are not filled" }, "unsynced"],
    [{ kind: "ambiguous", message: "two pods" }, "address-ambiguous"],
  ] as const)("%j waits the whole time, then 500", async ([owner, reason]) => {
    const { clock, directory, ask } = setUp();
    directory.owners.set(ADDRESS, owner);
    const result = ask();
    await clock.advance(54_000);
    expect(await settled(result)).toBe("waiting");
    await clock.advance(1_000);
    expect(short(await result)).toMatchObject({ status: 500, reason });
  });

  test("S72 a client that leaves stops waiting at once", async () => {
    const { clock, directory, service, ask, stand } = setUp();
    stand({ candidates: [candidate(one, PENDING)] });
    const gone = new AbortController();
    const result = ask("", { gone: gone.signal });
    await clock.advance(1);
    expect(service.parked).toBe(1);
    gone.abort();
    expect(short(await result).outcome).toBe("cancelled");
    expect([service.parked, directory.watchers]).toEqual([0, 0]);
  });

  test("a pod may park 32 requests; one more is told to come back, other pods are not affected", async () => {
    const { clock, directory, ask, stand } = setUp();
    stand({ candidates: [candidate(one, PENDING)] });
    for (let index = 0; index < 32; index++) void ask();
    expect(short(await ask())).toMatchObject({ status: 503, outcome: "overloaded" });
    directory.put(ADDRESS, { pod: pod("q"), candidates: [candidate(one, PENDING)] });
    const other = ask();
    await clock.advance(1);
    expect(await settled(other)).toBe("waiting");
  });

  test("so may 2 048 that wait for one answer of its source, however many connections they come by", async () => {
    const { clock, directory, ask, stand } = setUp(new FakeSource(() => new Promise(() => undefined)));
    stand();
    const waiting = Array.from({ length: 2_048 }, () => ask());
    const more = ask();
    await clock.advance(1);
    expect(await settled(more)).toMatchObject({ reply: { status: 503 }, facts: { outcome: "overloaded" } });
    directory.put(ADDRESS, { pod: pod("q"), candidates: [candidate(one)] });
    const other = ask();
    await clock.advance(1);
    expect(await settled(other)).toBe("waiting");
    expect(await settled(waiting[0] ?? other)).toBe("waiting");
  });

  test("draining answers what waits and closes the connection", async () => {
    const { clock, service, ask, stand } = setUp();
    stand({ candidates: [candidate(one, PENDING)] });
    const result = ask();
    await clock.advance(1);
    service.drain();
    expect((await result).reply).toMatchObject({ status: 503, close: true });
  });
});

describe("ownership and authorisation are asked again", () => {
  test("a binding deleted while the source was asked: no token", async () => {
    let land = (): void => undefined;
    const { clock, ask, stand } = setUp(
      new FakeSource(() => new Promise((resolve) => (land = () => resolve(token("t"))))),
    );
    stand();
    const result = ask();
    await clock.advance(1);
    stand({ candidates: [], denial: { reason: "no-binding", message: "none" } });
    land();
    expect(short(await result)).toMatchObject({ status: 404, reason: "no-binding" });
  });

  test("an identity edited while the source was asked: the new one is asked for", async () => {
    const lands: (() => void)[] = [];
    const source = new FakeSource(() => new Promise((resolve) => lands.push(() => resolve(token("t")))));
    const { clock, ask, stand } = setUp(source);
    stand();
    const result = ask();
    await clock.advance(1);
    const edited = identity("a", { clientID: CLIENT_2 });
    stand({ candidates: [candidate(edited)] });
    lands[0]?.();
    await clock.advance(1);
    lands[1]?.();
    expect((await result).facts.identity).toBe(edited);
    expect(source.requests.map(({ identity: asked }) => asked)).toEqual([one, edited]);
  });

  test("an address that changes hands while the source was asked, and a kept-alive connection: neither is served", async () => {
    let land = (): void => undefined;
    const { clock, directory, ask, stand } = setUp(
      new FakeSource(() => new Promise((resolve) => (land = () => resolve(token("t"))))),
    );
    stand();
    const connection = {};
    const result = ask("", { connection });
    await clock.advance(1);
    directory.put(ADDRESS, { pod: pod("q"), candidates: [candidate(one)] });
    land();
    expect((await result).reply).toMatchObject({ status: 500, close: true });
    expect((await ask("", { connection })).reply).toMatchObject({ status: 500, close: true });
    expect((await ask()).reply.status).toBe(200);
  });
});
