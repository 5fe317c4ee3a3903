import { createServer } from "node:http";
import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";

import { HttpImdsClient } from "./imds-client.ts";
import type { ImdsClientOptions, ImdsSink } from "./imds-client.ts";

let server: Server | undefined;
let client: HttpImdsClient | undefined;
afterEach(() => {
  client?.close();
  server?.closeAllConnections();
  server?.close();
});

async function serve(listener: RequestListener, options: Partial<ImdsClientOptions> = {}): Promise<HttpImdsClient> {
  const listening = createServer(listener);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  client = new HttpImdsClient({ host: "127.0.0.1", port: (listening.address() as AddressInfo).port, ...options });
  return client;
}

test("status, type, Retry-After and body as they came; Metadata and nothing else of anybody's", async () => {
  let headers = {};
  const imds = await serve((request, response) => {
    headers = request.headers;
    response.writeHead(429, { "content-type": "text/plain", "retry-after": "7" }).end("slow dówn");
  });
  expect(await imds.get("/metadata/x")).toEqual({
    status: 429,
    contentType: "text/plain",
    retryAfter: "7",
    body: "slow dówn",
  });
  expect(headers).toMatchObject({ metadata: "true" });
});

test.for([
  [
    "an answer that is too long",
    { maxBytes: 10 },
    "body",
    (_: unknown, response: { end: (text: string) => unknown }) => response.end("x".repeat(11)),
  ],
  ["no answer in time", { timeoutMs: 20 }, "timeout", () => undefined],
  [
    "a connection that breaks",
    {},
    "ECONNRESET",
    (request: { socket: { destroy: () => unknown } }) => request.socket.destroy(),
  ],
] as const)("%s is an error", async ([, options, code, listener]) => {
  const imds = await serve(listener, options);
  await expect(imds.get("/")).rejects.toMatchObject({ name: "ImdsError", code });
});

test("an answer that breaks off in the middle is an error", async () => {
  const imds = await serve((_request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half", () => response.destroy());
  });
  await expect(imds.get("/")).rejects.toMatchObject({ name: "ImdsError" });
});

test("a kept connection that IMDS has just closed costs nobody an answer; one that was new says so", async () => {
  const used = new WeakSet<object>();
  let requests = 0;
  const imds = await serve((request, response) => {
    requests++;
    if (request.url === "/never" || used.has(request.socket)) return void request.socket.destroy();
    used.add(request.socket);
    response.end("text");
  });
  expect((await imds.get("/")).body).toBe("text");
  expect((await imds.get("/")).body).toBe("text");
  expect(requests).toBe(3);
  await expect(imds.get("/never")).rejects.toMatchObject({ name: "ImdsError", code: "ECONNRESET" });
  // First on a connection that was kept, then on a new one.
  expect(requests).toBe(5);
});

test("what is given up on a kept connection is not asked again", async () => {
  let requests = 0;
  const imds = await serve((request, response) => {
    requests++;
    if (request.url === "/") response.end("text");
  });
  await imds.get("/");
  await expect(imds.get("/slow", { timeoutMs: 100 })).rejects.toMatchObject({ code: "timeout" });
  expect((await imds.get("/")).body).toBe("text");
  await imds.get("/");
  expect(requests).toBe(4);
});

test.for<[string, ImdsSink]>([
  ["head", { head: raise, chunk: () => undefined }],
  ["chunk", { head: () => undefined, chunk: raise }],
])("a reader that throws at the %s ends the call, and nothing else", async ([, reader]) => {
  const imds = await serve((_request, response) => response.end("text"));
  await expect(imds.stream("/", reader)).rejects.toMatchObject({ name: "ImdsError", message: "the reader's own" });
  expect((await imds.get("/")).body).toBe("text");
});

function raise(): never {
  throw new Error("the reader's own");
}

test("nobody there, and a caller that gives up", async () => {
  const imds = await serve(() => undefined);
  const leaving = new AbortController();
  const asked = imds.get("/", { signal: leaving.signal });
  leaving.abort();
  await expect(asked).rejects.toMatchObject({ code: "aborted" });
  await expect(imds.get("/", { signal: leaving.signal })).rejects.toMatchObject({ code: "aborted" });
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
  await expect(imds.get("/")).rejects.toMatchObject({ code: "ECONNREFUSED" });
});
