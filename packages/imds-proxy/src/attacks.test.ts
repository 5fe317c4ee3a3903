import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ATTACKER, AttackLab, CLIENT_IDS, Connection, VICTIM } from "../test/attack-lab.ts";
import type { Door } from "../test/attack-lab.ts";
import { resourceId } from "../test/fixtures.ts";
import { lengthRelay } from "../test/length-relay.ts";

/**
 * A pod wants the token of its neighbour or of the node. Each attack is made twice: on a proxy without guards, where it
 * must succeed, because otherwise it would prove nothing; and on podid's, where it must not.
 */
const T = "/metadata/identity/oauth2/token";
const MINE = CLIENT_IDS.get("attacker") ?? "";
const THEIRS = CLIENT_IDS.get("victim") ?? "";
const BOOTY = /of-(victim|node)/;

let lab: AttackLab;
let guarded: Door;
let unguarded: Door;

beforeAll(async () => {
  lab = new AttackLab();
  ({ guarded, unguarded } = await lab.start());
});
afterAll(() => lab.close());

let resource = 0;
beforeEach(() => {
  // A resource of its own, so that no test profits from what another left in a cache.
  resource += 1;
  lab.seen.length = 0;
  lab.owners.clear();
  lab.owners.set(ATTACKER, "attacker").set(VICTIM, "victim");
  lab.bound.set("attacker", ["attacker"]);
  lab.excepted.clear();
  lab.update();
});

function get(target: string, ...headers: readonly string[]): string {
  const host = headers.some((line) => line.startsWith("Host:")) ? [] : ["Host: 169.254.169.254"];
  return [`GET ${target} HTTP/1.1`, ...host, "Metadata: true", ...headers, "", ""].join("\r\n");
}

function ask(query = "", ...headers: readonly string[]): string {
  return get(`${T}?api-version=2018-02-01&resource=r${resource}${query}`, ...headers);
}

async function once(door: Door, from: string, request: string): Promise<string> {
  const connection = new Connection(door.port, from);
  connection.write(request);
  const answer = await connection.answers();
  connection.destroy();
  return answer;
}

type Request = readonly [title: string, request: () => string];

const CLAIMS: readonly Request[] = [
  ["X-Forwarded-For", () => ask("", `X-Forwarded-For: ${VICTIM}`)],
  [
    "x-forwarded-for, in lower case and twice",
    () => ask("", `x-forwarded-for: ${VICTIM}`, `x-forwarded-for: ${VICTIM}`),
  ],
  ["X-Real-IP", () => ask("", `X-Real-IP: ${VICTIM}`)],
  ["Forwarded", () => ask("", `Forwarded: for=${VICTIM}`)],
  ["the host endpoint's headers", () => ask("", "podname: victim", "podns: default")],
  ["the host endpoint", () => get(`/host/token/?resource=r${resource}`, "podname: victim", "podns: default")],
  [
    "the host endpoint with localhost as Host",
    () => get(`/host/token/?resource=r${resource}`, "Host: localhost:2579", "podname: victim", "podns: default"),
  ],
];

const PATHS: readonly Request[] = [
  ["a backslash (CVE-2022-23551)", "/metadata/identity\\oauth2\\token/"],
  ["one backslash", "/metadata/identity/oauth2\\token"],
  ["an escaped backslash", "/metadata/identity%5Coauth2/token"],
  ["repeated slashes", "/metadata//identity/oauth2///token"],
  ["an escaped letter", "/metadata/identity/oauth2/%74oken"],
  ["a dot segment", "/metadata/instance/../identity/oauth2/token"],
  ["an escaped dot segment", "/metadata/instance/%2e%2e/identity/oauth2/token"],
  ["a single dot", "/metadata/./identity/oauth2/token"],
  ["upper case", "/METADATA/Identity/oauth2/token"],
  ["something behind it", "/metadata/identity/oauth2/token/x"],
  ["a path parameter", "/metadata/identity/oauth2/token;x=1"],
  ["absolute-form", `http://169.254.169.254/metadata//identity/oauth2/token`],
].map(([title = "", path = ""]): Request => [title, () => get(`${path}?api-version=2018-02-01&resource=r${resource}`)]);

const PARAMETERS: readonly Request[] = [
  ["the victim's after one's own", () => ask(`&client_id=${MINE}&client_id=${THEIRS}`)],
  ["the same with an escape", () => ask(`&client_id=${MINE}&cl%69ent_id=${THEIRS}`)],
  ["the victim's resource id beside", () => ask(`&client_id=${MINE}&msi_res_id=${resourceId("victim")}`)],
  ["the victim's resource id alone", () => ask(`&msi_res_id=${resourceId("victim")}`)],
];

describe.each([
  ["header", CLAIMS],
  ["path", PATHS],
  ["parameter", PARAMETERS],
] as const)("another's token by %s", (_, attacks) => {
  test.for(attacks)("%s", async ([, request]) => {
    const bytes = request();
    expect(await once(unguarded, ATTACKER, bytes)).toMatch(BOOTY);
    lab.seen.length = 0;
    const answer = await once(guarded, ATTACKER, bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 [2-5]\d\d /);
    expect(answer).not.toMatch(BOOTY);
    // Nothing went on, or only a request for what is the attacker's own, written anew.
    for (const line of lab.seen) expect(line).toContain(encodeURIComponent(resourceId("attacker")));
  });
});

test("cache: the victim's token is kept, and the same request of another pod gets its own", async () => {
  for (const door of [unguarded, guarded]) {
    const [theirs, mine] = [await once(door, VICTIM, ask()), await once(door, ATTACKER, ask())];
    expect(theirs).toContain("of-victim");
    if (door === unguarded) expect(mine).toMatch(BOOTY);
    else expect(mine).toMatch(/^HTTP\/1\.1 200 [^]*of-attacker/);
  }
});

test("cache: what would split or join keys in another reading does not", async () => {
  for (const door of [unguarded, guarded]) await once(door, VICTIM, ask());
  expect(await once(unguarded, ATTACKER, ask("&xms_cc=cp1"))).toMatch(BOOTY);
  for (const query of [
    `&client_id=${THEIRS}`,
    `&object_id=${THEIRS}`,
    "&bypass_cache=true",
    "&xms_cc=cp1",
    "%00",
    "%0d%0a",
  ])
    expect(await once(guarded, ATTACKER, ask(query))).not.toMatch(BOOTY);
});

test("address: a kept-alive connection does not keep its former owner's rights", async () => {
  for (const door of [unguarded, guarded]) {
    lab.owners.clear();
    lab.owners.set(ATTACKER, "victim");
    lab.update();
    const connection = new Connection(door.port, ATTACKER);
    connection.write(ask());
    expect(await connection.answers(1)).toContain("of-victim");
    lab.owners.set(ATTACKER, "attacker");
    lab.update();
    const before = (await connection.answers(1)).length;
    connection.write(ask(`&x=1`));
    const after = (await connection.answers(2)).slice(before);
    connection.destroy();
    if (door === unguarded) expect(after).toContain("of-victim");
    else expect(after).toMatch(/^HTTP\/1\.1 500 [^]*address-changed/);
  }
});

test("address: it changes hands while IMDS is being asked", async () => {
  for (const door of [unguarded, guarded]) {
    lab.owners.clear();
    lab.owners.set(ATTACKER, "victim");
    lab.update();
    lab.seen.length = 0;
    lab.hold();
    const answer = once(door, ATTACKER, ask(`&y=${door.name.length}`));
    await expect.poll(() => lab.seen.length).toBe(1);
    lab.owners.set(ATTACKER, "attacker");
    lab.update();
    lab.release();
    if (door === unguarded) expect(await answer).toContain("of-victim");
    else expect(await answer).not.toMatch(BOOTY);
  }
});

test("label: it changes while IMDS is being asked", async () => {
  for (const door of [unguarded, guarded]) {
    lab.bound.set("attacker", ["victim"]);
    lab.update();
    lab.seen.length = 0;
    lab.hold();
    const answer = once(door, ATTACKER, ask(`&z=${door.name.length}`));
    await expect.poll(() => lab.seen.length).toBe(1);
    lab.bound.set("attacker", ["attacker"]);
    lab.update();
    lab.release();
    if (door === unguarded) expect(await answer).toContain("of-victim");
    else expect(await answer).not.toMatch(BOOTY);
  }
});

test("exception: a name that looks like an excepted pod's is none", async () => {
  lab.excepted.add("mic");
  lab.owners.set(ATTACKER, "mic-evil");
  lab.bound.set("mic-evil", ["attacker"]);
  lab.update();
  expect(await once(unguarded, ATTACKER, ask())).toMatch(BOOTY);
  expect(await once(guarded, ATTACKER, ask())).toMatch(/^HTTP\/1\.1 200 [^]*of-attacker/);
});

describe("request smuggling", () => {
  const INNER = `GET ${T}?api-version=2018-02-01&resource=r HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n`;
  const post = (body: string, ...headers: readonly string[]): string =>
    ["POST /metadata/versions HTTP/1.1", "Host: x", "Metadata: true", ...headers, "", body].join("\r\n");
  const chunked = `0\r\n\r\n${INNER}`;

  test("a relay that believes Content-Length hands the node's token out", async () => {
    const relay = { name: "relay", port: await lab.listen(lengthRelay(lab.imdsPort)) };
    expect(await once(relay, ATTACKER, INNER)).toMatch(/^HTTP\/1\.1 403 /);
    const connection = new Connection(relay.port, ATTACKER);
    connection.write(post(chunked, `Content-Length: ${chunked.length}`, "Transfer-Encoding: chunked"));
    await connection.answers(1);
    connection.write(get("/metadata/versions"));
    expect(await connection.answers(2)).toMatch(BOOTY);
    connection.destroy();
  });

  test.for<[string, string]>([
    ["CL.TE", post(chunked, `Content-Length: ${chunked.length}`, "Transfer-Encoding: chunked")],
    ["TE.CL", post(`5c\r\n${INNER}\r\n0\r\n\r\n`, "Content-Length: 4", "Transfer-Encoding: chunked")],
    ["TE.TE", post(chunked, "Transfer-Encoding: chunked", "Transfer-Encoding: x")],
    ["a coding that is none", post(chunked, `Content-Length: ${chunked.length}`, "Transfer-Encoding: xchunked")],
    ["a blank before the colon", post(chunked, `Content-Length: ${chunked.length}`, "Transfer-Encoding : chunked")],
    ["a folded header", post(chunked, `Content-Length: ${chunked.length}`, "Transfer-Encoding:\r\n chunked")],
    ["two lengths", post(INNER, "Content-Length: 0", `Content-Length: ${INNER.length}`)],
    ["a length with a sign", post(INNER, `Content-Length: +${INNER.length}`)],
    ["a length and more", post(INNER, `Content-Length: ${INNER.length}, 0`)],
    ["a body on GET", get("/metadata/versions", `Content-Length: ${INNER.length}`) + INNER],
    ["a chunked body on GET", get("/metadata/versions", "Transfer-Encoding: chunked") + chunked],
    ["a bare CR in a header", get("/metadata/versions", `X: a\rTransfer-Encoding: chunked`) + chunked],
    ["a bare LF in a header", get("/metadata/versions", `X: a\nContent-Length: ${INNER.length}`) + INNER],
    ["NUL in a header", get("/metadata/versions", "X: a\0b") + INNER],
    ["two Host headers", get("/metadata/versions", "Host: a", "Host: b") + INNER],
  ])("%s: one answer, then the connection ends, and nothing of it reached IMDS", async ([, bytes]) => {
    const connection = new Connection(guarded.port, ATTACKER);
    connection.write(bytes);
    const text = await connection.rest();
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual([expect.stringMatching(/ (400|405)$/)]);
    expect(lab.seen).toEqual([]);
  });

  test("pipelined requests are the attacker's own, every one of them", async () => {
    const connection = new Connection(guarded.port, ATTACKER);
    connection.write(
      ask() + ask("", `X-Forwarded-For: ${VICTIM}`) + ask(`&client_id=${THEIRS}`) + ask("", "Host: evil"),
    );
    const text = await connection.answers(4);
    connection.destroy();
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual([200, 400, 403, 200].map((status) => `HTTP/1.1 ${status}`));
    expect(text).not.toMatch(BOOTY);
  });

  test.for(["evil.example", "127.0.0.1:2579", "metadata@169.254.169.254", "", VICTIM])(
    "Host: %s changes nothing",
    async (host) => {
      const answer = await once(guarded, ATTACKER, ask("", `Host: ${host}`));
      expect(answer).toMatch(/^HTTP\/1\.1 200 [^]*of-attacker/);
      for (const line of lab.seen) expect(line).toContain(encodeURIComponent(resourceId("attacker")));
    },
  );
});

describe("exhaustion", () => {
  test("1 MB of headers: 431, and the connection ends", async () => {
    const large = ask("", `X: ${"x".repeat(1024 * 1024)}`);
    expect(await once(unguarded, ATTACKER, large)).toMatch(/^HTTP\/1\.1 200 /);
    const connection = new Connection(guarded.port, ATTACKER);
    connection.write(large);
    expect(await connection.rest()).toMatch(/^(HTTP\/1\.1 431 |$)/);
    const many = Array.from({ length: 20_000 }, (_, n) => `X-${n}: ${"y".repeat(40)}`);
    const lines = new Connection(guarded.port, ATTACKER);
    lines.write(ask("", ...many));
    expect(await lines.rest()).toMatch(/^(HTTP\/1\.1 431 |$)/);
    expect(await once(guarded, VICTIM, ask())).toContain("of-victim");
  });

  test("slow loris: headers, nothing at all, and a body that trickle in are ended, others are served meanwhile", async () => {
    const starts = [
      "",
      "G",
      `GET ${T} HTTP/1.1\r\nMetadata: true\r\n`,
      "POST /metadata/versions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
    ];
    const open = (door: Door): Connection[] =>
      Array.from({ length: 100 }, (_, n) => {
        const connection = new Connection(door.port, ATTACKER);
        connection.write(starts[n % starts.length] ?? "");
        return connection;
      });
    const [here, there] = [open(guarded), open(unguarded).slice(0, 3)];
    const trickle = setInterval(() => {
      for (const connection of here) connection.write("a");
    }, 500);
    try {
      expect(await once(guarded, VICTIM, ask())).toContain("of-victim");
      await Promise.all(here.map((connection) => connection.rest()));
      expect(there.map(({ closed }) => closed)).toEqual([false, false, false]);
    } finally {
      clearInterval(trickle);
      for (const connection of [...here, ...there]) connection.destroy();
    }
  }, 120_000);
});
