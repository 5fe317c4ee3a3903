import http from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fencedTransport } from "./fenced-transport.ts";
import { transportFromKubeConfig } from "./http-transport.ts";
import { parseNodeKubeConfig } from "./node-kubeconfig.ts";
import type { KubeTransport } from "./transport.ts";

let server: http.Server;
let received: string[];
let held: http.ServerResponse[];
let reason: string | undefined;
let http1: KubeTransport;
let transport: KubeTransport;

beforeEach(async () => {
  received = [];
  held = [];
  reason = undefined;
  server = http.createServer((request, response) => {
    void text(request).then((body) => {
      received.push(`${request.method} ${request.url} ${body}`);
      if (request.url?.startsWith("/slow")) held.push(response);
      else response.end("{}");
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const cluster = { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  http1 = transportFromKubeConfig(
    parseNodeKubeConfig(
      JSON.stringify({
        "current-context": "c",
        contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
        clusters: [{ name: "c", cluster }],
        users: [{ name: "u", user: {} }],
      }),
    ),
  );
  transport = fencedTransport(http1, () => reason);
});
afterEach(async () => {
  await transport.close();
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
});

test("writes pass until there is a reason against them; reads always", async () => {
  await transport.request({ method: "POST", path: "/a", body: { x: 1 } });
  reason = "another may lead";
  await expect(transport.request({ method: "PATCH", path: "/b", body: {} })).rejects.toThrow(
    "not written: another may lead",
  );
  await expect(transport.request({ method: "DELETE", path: "/c" })).rejects.toThrow("another may lead");
  await transport.request({ method: "GET", path: "/d" });
  expect(received).toEqual(['POST /a {"x":1}', "GET /d "]);
});

test("a write that waited for a connection is asked about when it gets one, not when it was made", async () => {
  const slow = Array.from({ length: 16 }, (_, at) => transport.request({ method: "GET", path: `/slow/${at}` }));
  await expect.poll(() => received.length).toBe(16);
  const late = transport.request({ method: "POST", path: "/late", body: {} });
  const refused = late.catch((error: unknown) => String(error));
  reason = "the lease is over";
  for (const response of held) response.end("{}");
  await Promise.all(slow);
  expect(await refused).toContain("the lease is over");
  expect(received.filter((line) => line.includes("/late"))).toEqual([]);
  // The connection that it was given is not lost to those that come after.
  await transport.request({ method: "GET", path: "/after" });
});
