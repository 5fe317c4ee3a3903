import Fastify from "fastify";
import type { FastifyInstance } from "fastify";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { FairLimiter } from "./fair-limiter.ts";
import { candidate, FakeDirectory, FakeSource, identity, pod, token } from "../test/fixtures.ts";
import { ImdsForwarder } from "./imds-forwarder.ts";
import { HttpImdsClient } from "./imds-client.ts";
import { imdsServer } from "./imds-server.ts";
import { imdsProxy, imdsServerOptions } from "./plugin.ts";
import type { Exchange, ImdsProxyOptions } from "./listener.ts";
import { METADATA_REQUIRED } from "./reply.ts";
import { TokenBroker } from "./token-broker.ts";
import { TokenService } from "./token-service.ts";

const T = "/metadata/identity/oauth2/token";
const open: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

/** The machine may be busy; the condition is what counts. */
function soon<T>(look: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(look, { timeout: 10_000, interval: 10 });
}

async function listen(app: FastifyInstance): Promise<number> {
  open.push(() => app.close());
  await app.listen({ host: "127.0.0.1", port: 0 });
  const address = app.server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Both ways to serve it, which have to be the same to every client. */
const FRONTS = {
  imdsServer: (options: ImdsProxyOptions) => {
    const server = imdsServer(options);
    open.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  },
  "imdsProxy in Fastify": async (options: ImdsProxyOptions) => {
    const app = Fastify(imdsServerOptions());
    await app.register(imdsProxy, options);
    return listen(app);
  },
} as const;

async function behind(front: keyof typeof FRONTS, options: Partial<ImdsProxyOptions> = {}) {
  const seen: { url: string; headers: Record<string, unknown> }[] = [];
  const imds = Fastify();
  imds.get("/metadata/instance", (request, reply) => {
    seen.push({ url: request.url, headers: request.headers });
    return reply
      .header("content-type", "application/json; charset=utf-8")
      .header("connection", "close")
      .header("x-hop", "1")
      .send('{ "compute": {} }');
  });
  imds.get("/metadata/versions", (_request, reply) => reply.redirect("http://127.0.0.1:1/"));
  const slow = Promise.withResolvers<void>();
  imds.get("/metadata/instance/slow", (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "content-type": "text/plain" }).write("first,");
    void slow.promise.then(() => reply.raw.end("\u00fflast"));
  });
  imds.get("/metadata/instance/large", (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "content-type": "text/plain" });
    for (let sent = 0; sent < 4; sent++) reply.raw.write("x".repeat(400_000));
    reply.raw.end();
  });
  imds.post("/metadata/scheduledevents", (request, reply) => {
    seen.push({ url: `${request.url} ${JSON.stringify(request.body)}`, headers: request.headers });
    return reply.code(200).send("");
  });
  const client = new HttpImdsClient({ host: "127.0.0.1", port: await listen(imds) });
  open.push(() => client.close());

  const limiter = new FairLimiter({ clock: systemClock, ratePerSecond: 1_000, concurrency: 10 });
  const forwarder = new ImdsForwarder({ client, metadataLimiter: limiter, tokenLimiter: limiter });
  const directory = new FakeDirectory();
  const broker = new TokenBroker({ clock: systemClock, random: Math.random, limiter });
  const tokens = new TokenService({
    directory,
    broker,
    forwarder,
    clock: systemClock,
    random: Math.random,
    sources: { 0: new FakeSource(token("t")) },
  });
  const exchanges: Exchange[] = [];
  const port = await FRONTS[front]({
    tokens,
    forwarder,
    observe: (exchange) => exchanges.push(exchange),
    ...options,
  });
  return { port, directory, tokens, exchanges, seen, slow, base: `http://127.0.0.1:${port}` };
}

/** Sends bytes and returns everything that comes back until the server closes or `until` has been seen. */
function raw(port: number, bytes: string, until?: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes, "latin1"));
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (until?.test(text)) socket.destroy();
    });
    socket.once("close", () => resolve(text));
    socket.once("error", reject);
  });
}

describe.for(Object.keys(FRONTS) as (keyof typeof FRONTS)[])("over real sockets, %s", (front) => {
  const setUp = (options?: Partial<ImdsProxyOptions>) => behind(front, options);

  test("S60 a token with IMDS's content type", async () => {
    const { base, directory, exchanges } = await setUp();
    directory.put("127.0.0.1", { pod: pod("p"), candidates: [candidate(identity("a"))] });
    const response = await fetch(`${base}${T}?resource=r`, { headers: { metadata: "true" } });
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
    const body = await response.text();
    expect(response.headers.get("content-length")).toBe(String(body.length));
    expect(JSON.parse(body)).toMatchObject({ access_token: "t", refresh_token: "" });
    expect(exchanges).toMatchObject([{ path: T, status: 200, facts: { outcome: "token" } }]);
  });

  test("S53 the exact bytes of IMDS without the header", async () => {
    const { base } = await setUp();
    for (const path of [T, "/doesnotexist", `${T}?api-version=2018-02-01`]) {
      const response = await fetch(base + path);
      expect([response.status, await response.text()]).toEqual([400, METADATA_REQUIRED.body]);
    }
  });

  test("S53 a probe is answered with exactly 400 while as many requests wait as may", async () => {
    const { base, tokens } = await setUp();
    const leaving = new AbortController();
    const init = { headers: { metadata: "true" }, signal: leaving.signal };
    const waiting = Array.from({ length: 32 }, () => fetch(`${base}${T}?resource=r`, init).catch(() => undefined));
    await soon(() => tokens.parked).toBe(32);
    expect((await fetch(`${base}${T}?resource=r`, { headers: { metadata: "true" } })).status).toBe(503);
    expect((await fetch(`${base}${T}`)).status).toBe(400);
    leaving.abort();
    await Promise.all(waiting);
  });

  test.for([
    ["a backslash", `GET /metadata/identity\\oauth2/token/ HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n`, 400],
    ["absolute-form", `GET http://169.254.169.254${T}?resource=r HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n`, 400],
    ["a malformed escape", `GET /metadata/%zz HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n`, 400],
    ["HEAD", `HEAD ${T}?resource=r HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nConnection: close\r\n\r\n`, 405],
    [
      "POST with a JSON body",
      `POST ${T}?resource=r HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{x}`,
      405,
    ],
    [
      "a method Fastify has no route for",
      `PROPFIND ${T}?resource=r HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nConnection: close\r\n\r\n`,
      405,
    ],
    [
      "GET with a body",
      `GET ${T}?resource=r HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nContent-Length: 3\r\n\r\nabc`,
      400,
    ],
    [
      "both lengths",
      `GET ${T}?resource=r HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["an unknown method", `FOO / HTTP/1.1\r\nHost: x\r\n\r\n`, 400],
    ["headers of 20 kB", `GET ${T} HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    ["a bare line feed in a header", `GET ${T} HTTP/1.1\r\nHost: x\r\nMetadata: tr\nue\r\n\r\n`, 400],
  ] as const)("%s gets JSON and a closed connection", async ([name, bytes, status]) => {
    const { port } = await setUp();
    const text = await raw(port, bytes);
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(text.toLowerCase()).toContain("content-type: application/json; charset=utf-8");
    if (name !== "HEAD") expect(text).toMatch(/\{"error":"[a-z_]+","error_description":"[^"]+"\}$/);
  });

  test.for([
    ["a token", "Metadata: true\r\n", /^HTTP\/1\.1 200 [^]*access_token/],
    ["a probe", "", /^HTTP\/1\.1 400 [^]*Required metadata header not specified/],
  ] as const)("%s with an expectation that nobody knows is answered as without it", async ([, header, want]) => {
    const { port, directory } = await setUp();
    directory.put("127.0.0.1", { pod: pod("p"), candidates: [candidate(identity("a"))] });
    const text = await raw(
      port,
      `GET ${T}?resource=r HTTP/1.1\r\nHost: x\r\n${header}Expect: x\r\nConnection: close\r\n\r\n`,
    );
    expect(text).toMatch(want);
  });

  test("S58 what is forwarded is written anew, and no header of the connection comes back", async () => {
    const { base, seen } = await setUp();
    const response = await fetch(`${base}/Metadata//instance/?format=json&x=1&api-version=2021-02-01`, {
      headers: { metadata: "TRUE", authorization: "secret", "x-y": "z" },
    });
    expect([response.status, await response.text()]).toEqual([200, '{ "compute": {} }']);
    expect(seen.map(({ url }) => url)).toEqual(["/metadata/instance?api-version=2021-02-01&format=json"]);
    expect(Object.keys(seen[0]?.headers ?? {}).sort()).toEqual(["accept", "connection", "host", "metadata"]);
    expect(response.headers.get("x-hop")).toBeNull();
  });

  test("a redirect of IMDS is passed on as a status, never followed", async () => {
    const { base } = await setUp();
    const response = await fetch(`${base}/metadata/versions`, { headers: { metadata: "true" }, redirect: "manual" });
    expect([response.status, response.headers.get("location")]).toEqual([302, null]);
  });

  test("S58 blocked", async () => {
    const { base, seen } = await setUp({ rules: { blocked: ["instance"] } });
    const response = await fetch(`${base}/METADATA/Instance`);
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ error_description: "Request blocked by AAD Pod Identity NMI" });
    expect(seen).toEqual([]);
  });

  test("what IMDS answers goes on while it arrives, every byte of it", async () => {
    const { base, slow, exchanges } = await setUp();
    const response = await fetch(`${base}/metadata/instance/slow`, { headers: { metadata: "true" } });
    const reader = response.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("first,");
    expect(exchanges).toEqual([]);
    slow.resolve();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("\u00fflast");
    expect((await reader?.read())?.done).toBe(true);
    await soon(() => exchanges.map(({ status }) => status)).toEqual([200]);
  });

  test("an answer without end is broken off, and is an error, not a short answer", async () => {
    const { base, exchanges } = await setUp();
    const response = await fetch(`${base}/metadata/instance/large`, { headers: { metadata: "true" } });
    await expect(response.text()).rejects.toThrow();
    expect(exchanges).toMatchObject([{ status: 200, broken: "IMDS answered more than 1048576 bytes" }]);
  });

  test("N-10 an approval of events is written anew, where it is allowed at all", async () => {
    const { base, seen } = await setUp({ rules: { approveEvents: true } });
    const post = (body: string): Promise<Response> =>
      fetch(`${base}/metadata/scheduledevents?api-version=2020-07-01`, {
        method: "POST",
        headers: { metadata: "true", "x-y": "z" },
        body,
      });
    expect((await post('{ "StartRequests": [{ "EventId": "f020-AB", "x": 1 }], "y": 2 }')).status).toBe(200);
    for (const body of ["{}", "[]", "null", "{", '{"StartRequests":[]}', '{"StartRequests":[{"EventId":"a b"}]}'])
      expect([body, (await post(body)).status]).toEqual([body, 400]);
    expect(seen.map(({ url }) => url)).toEqual([
      '/metadata/scheduledevents?api-version=2020-07-01 {"StartRequests":[{"EventId":"f020-AB"}]}',
    ]);
    expect(Object.keys(seen[0]?.headers ?? {})).not.toContain("x-y");
  });

  describe("S63 the host token endpoint", () => {
    const headers = { podns: "default", podname: "p" };

    test("S63 is off unless it was allowed", async () => {
      const { base } = await setUp();
      const response = await fetch(`${base}/host/token/?resource=r`, { headers });
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ error: "not_found" });
    });

    test("S63 upstream's shape for a process of the host", async () => {
      const { base, directory, exchanges } = await setUp({ rules: { hostToken: true } });
      directory.put("10.0.0.5", { pod: pod("p"), candidates: [candidate(identity("a"))] });
      const response = await fetch(`${base}/host/token/?resource=r`, { headers });
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
      const body = (await response.json()) as { token: object; clientid: string };
      expect(Object.keys(body)).toEqual(["token", "clientid"]);
      const fields = "access_token refresh_token expires_in expires_on not_before resource token_type".split(" ");
      expect(Object.keys(body.token)).toEqual(fields);
      expect(body.token).toMatchObject({ access_token: "t", refresh_token: "" });
      expect(body.clientid).toBe("11111111-1111-1111-1111-111111111111");
      expect(exchanges).toMatchObject([{ request: { kind: "host-token" }, facts: { pod: { name: "p" } } }]);
    });

    test("S63 one connection may ask for several pods", async () => {
      const { port, directory } = await setUp({ rules: { hostToken: true } });
      for (const name of ["p", "q"]) directory.put(name, { pod: pod(name), candidates: [candidate(identity(name))] });
      const ask = (name: string, more = ""): string =>
        `GET /host/token/?resource=r HTTP/1.1\r\nHost: x\r\npodns: default\r\npodname: ${name}\r\n${more}\r\n`;
      const text = await raw(port, ask("p") + ask("q", "Connection: close\r\n"));
      expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200"]);
    });

    test("S63 an exception of the pod is not the host's", async () => {
      const { base, directory, seen } = await setUp({ rules: { hostToken: true } });
      directory.put("10.0.0.5", { pod: pod("p"), excepted: true });
      const response = await fetch(`${base}/host/token/?resource=r`, { headers });
      expect([response.status, seen]).toEqual([404, []]);
    });

    test("S63 a peer with any other address, even of the loopback network, is not from the host", async () => {
      const { port, directory } = await setUp({ rules: { hostToken: true } });
      directory.put("127.0.0.5", { pod: pod("p"), candidates: [candidate(identity("a"))] });
      const text = await new Promise<string>((resolve) => {
        const socket = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.5" });
        let got = "";
        socket.on("data", (chunk) => (got += String(chunk))).on("close", () => resolve(got));
        socket.write(
          "GET /host/token/?resource=r HTTP/1.1\r\nHost: localhost\r\npodns: default\r\npodname: p\r\nConnection: close\r\n\r\n",
        );
      });
      expect(text).toMatch(/^HTTP\/1\.1 500 /);
      expect(text).toContain("request remote address is not from a host");
    });
  });

  test("S72 a client that disconnects leaves nothing behind", async () => {
    const { base, tokens, exchanges } = await setUp();
    const leaving = new AbortController();
    const response = fetch(`${base}${T}?resource=r`, { headers: { metadata: "true" }, signal: leaving.signal });
    await soon(() => tokens.parked).toBe(1);
    leaving.abort();
    await expect(response).rejects.toThrow();
    await soon(() => tokens.parked).toBe(0);
    await soon(() => exchanges.map(({ facts }) => facts?.outcome)).toEqual(["cancelled"]);
  });

  test("pipelined requests are answered in order, each for itself", async () => {
    const { port, directory } = await setUp();
    directory.put("127.0.0.1", { pod: pod("p"), candidates: [candidate(identity("a"))] });
    const text = await raw(
      port,
      `GET ${T}?resource=r HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nConnection: close\r\n\r\n`,
    );
    expect(text.match(/HTTP\/1\.1 (\d+)/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 404"]);
  });

  test("a bug is a 500 that tells the client nothing, and is reported", async () => {
    const errors: unknown[] = [];
    const { base, directory } = await setUp({ onError: (error) => errors.push(error) });
    directory.owner = () => {
      throw new Error("secret detail");
    };
    const response = await fetch(`${base}${T}?resource=r`, { headers: { metadata: "true" } });
    expect([response.status, response.headers.get("connection")]).toEqual([500, "close"]);
    const body = await response.text();
    expect(JSON.parse(body)).toMatchObject({ error: "internal_error" });
    expect(body).not.toContain("secret detail");
    expect(errors).toHaveLength(1);
  });

  test("while closing every answer ends its connection", async () => {
    const { base } = await setUp({ closing: () => true });
    expect((await fetch(`${base}${T}`)).headers.get("connection")).toBe("close");
  });
});
