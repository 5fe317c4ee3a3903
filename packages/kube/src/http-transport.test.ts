import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";

import { KubeConfig as ClientNodeKubeConfig } from "@kubernetes/client-node";
import { afterEach, beforeAll, expect, test } from "vitest";

import { FakeClock } from "./fake-clock.ts";
import { transportFromKubeConfig } from "./http-transport.ts";
import { KubeError } from "./kube-error.ts";
import { connectionFromClientNode, parseKubeConfig } from "./kubeconfig.ts";
import { parseNodeKubeConfig } from "./node-kubeconfig.ts";
import { testAuthority } from "../test/test-certificates.ts";
import type { Issued, TestAuthority } from "../test/test-certificates.ts";
import type { KubeTransport } from "./transport.ts";

let authority: TestAuthority;
let serverCert: Issued;
beforeAll(async () => {
  authority = await testAuthority();
  serverCert = await authority.issue("server");
});

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function listen(server: http.Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `${server instanceof https.Server ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function kubeconfig(server: string, user: object, cluster: object = {}): string {
  return JSON.stringify({
    "current-context": "test",
    contexts: [{ name: "test", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server, ...cluster } }],
    users: [{ name: "u", user }],
  });
}

function opened(transport: KubeTransport): KubeTransport {
  ends.push(() => transport.close());
  return transport;
}

async function plain(handler: http.RequestListener, user: object = {}): Promise<KubeTransport> {
  const url = await listen(http.createServer(handler));
  return opened(transportFromKubeConfig(parseNodeKubeConfig(kubeconfig(url, user)), { userAgent: "test/1" }));
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "podid-kube-"));
  ends.push(() => rm(path, { recursive: true }));
  return path;
}

/** As kubelet and most tools do: readers see the old or the new content. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

test("sends method, path, query, body, headers and token; parses the answer", async () => {
  const seen: unknown[] = [];
  const transport = await plain(
    (request, response) => {
      const { "content-type": type, "user-agent": agent, authorization } = request.headers;
      void all(request).then((body) => {
        seen.push([request.method, request.url, body.join(""), type, agent, authorization]);
        response.end('{"ok":true}');
      });
    },
    { token: "t" },
  );
  const answer = await transport.request({
    method: "PATCH",
    path: "/a%2Fb",
    query: { x: "ü&", y: undefined, z: 1 },
    body: { b: 1 },
    contentType: "application/merge-patch+json",
  });
  expect(answer).toEqual({ ok: true });
  expect(seen).toEqual([
    ["PATCH", "/a%2Fb?x=%C3%BC%26&z=1", '{"b":1}', "application/merge-patch+json", "test/1", "Bearer t"],
  ]);
});

test("sends a header for each of its values, and keeps the server's own path", async () => {
  let seen: http.IncomingMessage | undefined;
  const url = await listen(http.createServer((request, response) => void ((seen = request), response.end("{}"))));
  const headers = { "impersonate-user": "jane", "impersonate-group": ["a", "b"] };
  const config = { server: `${url}/k8s/clusters/c-1/`, connection: () => Promise.resolve({ headers, tls: {} }) };
  await opened(transportFromKubeConfig(config)).request({ method: "GET", path: "/api" });
  expect(seen?.url).toBe("/k8s/clusters/c-1/api");
  expect(seen?.headersDistinct).toMatchObject({ "impersonate-user": ["jane"], "impersonate-group": ["a", "b"] });
});

const status = {
  kind: "Status",
  code: 409,
  reason: "Conflict",
  message: "object was modified",
  details: { name: "x" },
};
test.for([
  {
    name: "a Status",
    code: 409,
    body: JSON.stringify(status),
    headers: {},
    want: { status: 409, reason: "Conflict", details: { name: "x" }, retryAfterMs: undefined },
  },
  {
    name: "Retry-After in seconds",
    code: 429,
    body: "slow down",
    headers: { "retry-after": "3" },
    want: { status: 429, reason: "TooManyRequests", retryAfterMs: 3000 },
  },
  {
    name: "retryAfterSeconds",
    code: 503,
    body: JSON.stringify({ kind: "Status", reason: "ServiceUnavailable", details: { retryAfterSeconds: 2 } }),
    headers: {},
    want: { status: 503, reason: "ServiceUnavailable", retryAfterMs: 2000 },
  },
  {
    name: "a proxy's page",
    code: 502,
    body: "<html>",
    headers: {},
    want: { status: 502, reason: "Unknown", retryAfterMs: undefined },
  },
])("an answer outside 2xx is a KubeError: $name", async ({ code, body, headers, want }) => {
  const transport = await plain((_, response) => void response.writeHead(code, headers).end(body));
  for (const failure of [
    transport.request({ method: "GET", path: "/x" }),
    transport.stream({ method: "GET", path: "/x" }),
  ])
    await expect(failure).rejects.toMatchObject({ name: "KubeError", ...want });
});

test.for([
  {
    name: "no server",
    start: () => Promise.resolve("http://127.0.0.1:1"),
    want: { status: 0, reason: "NetworkError" },
  },
  {
    name: "an answer that is no JSON",
    start: () => listen(http.createServer((_, response) => void response.end("<html>"))),
    want: { status: 0, reason: "MalformedAnswer" },
  },
  {
    name: "a body cut off",
    start: () =>
      listen(
        http.createServer(
          (_, response) =>
            void (response.writeHead(200, { "content-length": 9 }),
            response.write("{"),
            setImmediate(() => response.destroy())),
        ),
      ),
    want: { status: 0, reason: "NetworkError" },
  },
  { name: "silence", start: () => listen(http.createServer(() => {})), want: { status: 0, reason: "Timeout" } },
])("what goes wrong on the way is a KubeError with status 0: $name", async ({ start, want }) => {
  const transport = opened(
    transportFromKubeConfig(parseNodeKubeConfig(kubeconfig(await start(), { token: "secret-token" }))),
  );
  const error = await transport
    .request({ method: "GET", path: "/x", timeoutMs: want.reason === "Timeout" ? 30 : 5000 })
    .catch((e: unknown) => e);
  expect(error).toBeInstanceOf(KubeError);
  expect(error).toMatchObject(want);
  expect(String(error)).toContain("GET /x");
  expect(String(error)).not.toContain("secret-token");
});

test("an abort rejects with the caller's reason, before, during and in a stream", async () => {
  const transport = await plain((request, response) => void (request.url === "/watch" && response.write("1\n")));
  const reason = new Error("enough");
  await expect(transport.request({ method: "GET", path: "/x", signal: AbortSignal.abort(reason) })).rejects.toBe(
    reason,
  );
  const abort = new AbortController();
  const hanging = transport.request({ method: "GET", path: "/x", signal: abort.signal });
  const stream = (await transport.stream({ method: "GET", path: "/watch", signal: abort.signal }))[
    Symbol.asyncIterator
  ]();
  expect(await stream.next()).toEqual({ done: false, value: 1 });
  const next = stream.next();
  abort.abort(reason);
  await expect(hanging).rejects.toBe(reason);
  await expect(next).rejects.toBe(reason);
});

test("a stream delivers lines as they come, split characters included, and ends with the server", async () => {
  const bytes = Buffer.from('{"name":"zoë €"}\n{"b":2}\n');
  const split = bytes.indexOf(0xe2) + 1;
  let rest = () => {};
  const transport = await plain((_, response) => {
    response.write(bytes.subarray(0, split));
    rest = () => response.end(bytes.subarray(split));
  });
  const stream = await transport.stream({ method: "GET", path: "/w", timeoutMs: 1_000 });
  rest();
  expect(await all(stream)).toEqual([{ name: "zoë €" }, { b: 2 }]);
});

test.for([
  { name: "in the middle of a line", text: '{"a":1}\n{"b":' },
  { name: "between lines", text: '{"a":1}\n' },
])("a stream that breaks $name delivers what was whole, then throws", async ({ text }) => {
  const transport = await plain((_, response) => response.write(text, () => setImmediate(() => response.destroy())));
  const got: unknown[] = [];
  const reading = (async () => {
    for await (const value of await transport.stream({ method: "GET", path: "/w" })) got.push(value);
  })();
  await expect(reading).rejects.toMatchObject({ name: "KubeError", status: 0 });
  expect(got).toEqual([{ a: 1 }]);
});

test("leaving a stream closes its connection", async () => {
  const closed = Promise.withResolvers<void>();
  const transport = await plain((_, response) => {
    response.write("1\n");
    response.once("close", () => closed.resolve());
  });
  for await (const _ of await transport.stream({ method: "GET", path: "/w" })) break;
  await closed.promise;
});

test("requests share kept-alive connections, at most sixteen; streams have their own", async () => {
  const sockets = new Set<Socket>();
  const waiting: (() => void)[] = [];
  const transport = await plain((request, response) => {
    sockets.add(request.socket);
    if (request.url === "/watch") response.write("1\n");
    else if (request.url === "/slow") waiting.push(() => response.end("1"));
    else response.end("1");
  });
  await transport.request({ method: "GET", path: "/x" });
  await transport.request({ method: "GET", path: "/x" });
  expect(sockets.size).toBe(1);
  for (let i = 0; i < 20; i++) await transport.stream({ method: "GET", path: "/watch" });
  expect(sockets.size).toBe(21);
  const slow = Promise.all(Array.from({ length: 40 }, () => transport.request({ method: "GET", path: "/slow" })));
  for (let done = 0; done < 40;) {
    await new Promise((resolve) => setImmediate(resolve));
    for (const answer of waiting.splice(0)) {
      done++;
      answer();
    }
  }
  await slow;
  expect(sockets.size).toBeLessThanOrEqual(20 + 16);
});

test("a GET on a connection that the server had closed is sent again, a POST is not", async () => {
  const used = new WeakSet<Socket>();
  const transport = await plain((request, response) => {
    if (used.has(request.socket)) return void request.socket.destroy();
    used.add(request.socket);
    response.end("1");
  });
  await transport.request({ method: "GET", path: "/x" });
  expect(await transport.request({ method: "GET", path: "/x" })).toBe(1);
  await expect(transport.request({ method: "POST", path: "/x" })).rejects.toMatchObject({
    status: 0,
    reason: "NetworkError",
  });
});

test("trusts the kubeconfig's CA, presents its client certificate, and refuses others", async () => {
  const client = await authority.issue("jane");
  const server = https.createServer(
    { ...serverCert, ca: authority.ca, requestCert: true, rejectUnauthorized: false },
    (request, response) =>
      void response.end(JSON.stringify({ cn: (request.socket as TLSSocket).getPeerCertificate().subject?.CN ?? null })),
  );
  const url = await listen(server);
  const ask = (user: object, cluster: object) =>
    opened(transportFromKubeConfig(parseKubeConfig(kubeconfig(url, user, cluster)))).request({
      method: "GET",
      path: "/",
    });
  const trusted = { "certificate-authority-data": base64(authority.ca) };
  const user = { "client-certificate-data": base64(client.cert), "client-key-data": base64(client.key) };
  expect(await ask(user, trusted)).toEqual({ cn: "jane" });
  expect(await ask({}, trusted)).toEqual({ cn: null });
  expect(await ask({}, { "insecure-skip-tls-verify": true })).toEqual({ cn: null });
  await expect(ask({}, {})).rejects.toMatchObject({ status: 0, reason: "NetworkError" });
  await expect(ask({}, { ...trusted, "tls-server-name": "other" })).rejects.toThrow(/altname/i);

  const clientNode = new ClientNodeKubeConfig();
  clientNode.loadFromString(kubeconfig(url, user, trusted));
  expect(
    await opened(transportFromKubeConfig(connectionFromClientNode(clientNode))).request({ method: "GET", path: "/" }),
  ).toEqual({ cn: "jane" });
});

test("a rotated client certificate is used for new connections", async () => {
  const path = await folder();
  const write = async ({ cert, key }: Issued) => {
    await replace(join(path, "tls.crt"), cert);
    await replace(join(path, "tls.key"), key);
  };
  await write(await authority.issue("first"));
  const server = https.createServer(
    { ...serverCert, ca: authority.ca, requestCert: true },
    (request, response) =>
      void response.end(JSON.stringify((request.socket as TLSSocket).getPeerCertificate().subject.CN)),
  );
  const clock = new FakeClock();
  const user = { "client-certificate": "tls.crt", "client-key": "tls.key" };
  const config = parseNodeKubeConfig(
    kubeconfig(await listen(server), user, { "certificate-authority-data": base64(authority.ca) }),
    { directory: path, clock },
  );
  const transport = opened(transportFromKubeConfig(config));
  expect(await transport.request({ method: "GET", path: "/" })).toBe("first");
  await write(await authority.issue("second"));
  expect(await transport.request({ method: "GET", path: "/" })).toBe("first");
  clock.advance(10_000);
  expect(await transport.request({ method: "GET", path: "/" })).toBe("second");
});

test("a rotated CA is trusted, and the server's new certificate with it", async () => {
  const path = await folder();
  await replace(join(path, "ca.crt"), authority.ca);
  const server = https.createServer(serverCert, (_, response) => void response.end("1"));
  const clock = new FakeClock();
  const text = kubeconfig(await listen(server), {}, { "certificate-authority": "ca.crt" });
  const transport = opened(transportFromKubeConfig(parseNodeKubeConfig(text, { directory: path, clock })));
  const ask = () => transport.request({ method: "GET", path: "/" });
  expect(await ask()).toBe(1);
  const successor = await testAuthority();
  const renewed = await successor.issue("server");
  server.setSecureContext(renewed);
  server.closeAllConnections();
  await expect(ask()).rejects.toMatchObject({ status: 0, reason: "NetworkError" });
  await replace(join(path, "ca.crt"), authority.ca + successor.ca);
  clock.advance(10_000);
  expect(await ask()).toBe(1);
});

test("a rotated token file is read again after ten seconds, at once after a 401, and outlives a moment without file", async () => {
  const path = join(await folder(), "token");
  await replace(path, "one\n");
  const seen: (string | undefined)[] = [];
  let valid = /one|two/;
  const url = await listen(
    http.createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.statusCode = valid.test(request.headers.authorization ?? "") ? 200 : 401;
      response.end("{}");
    }),
  );
  const clock = new FakeClock();
  const transport = opened(
    transportFromKubeConfig(parseNodeKubeConfig(kubeconfig(url, { tokenFile: path }), { clock })),
  );
  const ask = () => transport.request({ method: "GET", path: "/" });
  await ask();
  await replace(path, "two");
  await ask();
  clock.advance(10_000);
  await ask();
  await rm(path);
  clock.advance(10_000);
  await ask();
  expect(seen.splice(0)).toEqual(["Bearer one", "Bearer one", "Bearer two", "Bearer two"]);
  await replace(path, "two");
  await ask();
  seen.length = 0;
  await replace(path, "three");
  valid = /three/;
  await ask();
  expect(seen.splice(0)).toEqual(["Bearer two", "Bearer three"]);
  valid = /none/;
  await expect(ask()).rejects.toMatchObject({ status: 401 });
  expect(seen).toEqual(["Bearer three"]);
});

test.for([{ scheme: "http" }, { scheme: "https" }])(
  "speaks through the kubeconfig's proxy, $scheme",
  async ({ scheme }) => {
    const answer: http.RequestListener = (request, response) => void response.end(JSON.stringify(request.url));
    const server = await listen(
      scheme === "https" ? https.createServer(serverCert, answer) : http.createServer(answer),
    );
    const { port } = new URL(server);
    const asked: (string | undefined)[] = [];
    const proxy = http.createServer((request, response) => {
      asked.push(request.url);
      http.get(server + new URL(request.url!).pathname, (from) => from.pipe(response));
    });
    proxy.on("connect", (request, socket: Socket) => {
      asked.push(`CONNECT ${request.url}`);
      const through = connect(Number(port), "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        through.pipe(socket).pipe(through);
      });
    });
    const cluster = {
      "proxy-url": await listen(proxy),
      "certificate-authority-data": base64(authority.ca),
      "insecure-skip-tls-verify": scheme === "http",
    };
    const config = parseKubeConfig(kubeconfig(`${scheme}://localhost:${port}`, {}, cluster));
    expect(await opened(transportFromKubeConfig(config)).request({ method: "GET", path: "/api" })).toBe("/api");
    expect(asked).toEqual([scheme === "https" ? `CONNECT localhost:${port}` : `http://localhost:${port}/api`]);
  },
);

test("close ends what runs and refuses what comes", async () => {
  const arrived = Promise.withResolvers<void>();
  const transport = await plain(() => arrived.resolve());
  const running = transport.request({ method: "GET", path: "/x" });
  await arrived.promise;
  await transport.close();
  await expect(running).rejects.toThrow("closed");
  await expect(transport.request({ method: "GET", path: "/x" })).rejects.toThrow("closed");
});
