import { errorReply, parseRequest } from "@podid/imds-proxy";
import type { ImdsProxyOptions, TokenCall, TokenService } from "@podid/imds-proxy";
import { existsSync, mkdtempSync, statSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { openHostTokenPort, openHostTokenSocket } from "./host-token-socket.ts";
import type { HostTokenSocket } from "./host-token-socket.ts";

const open: HostTokenSocket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) await socket.close();
});

const path = join(mkdtempSync(join(tmpdir(), "nmi-")), "private/host-token.sock");

function answering(status: number, calls: TokenCall[]): ImdsProxyOptions {
  const tokens = {
    handle: (call: TokenCall) => {
      calls.push(call);
      return { reply: errorReply(status, "x", "y"), facts: { outcome: "denied", parkedMs: 0, sourceMs: 0 } };
    },
  };
  return { tokens: tokens as unknown as TokenService } as ImdsProxyOptions;
}

async function listen(status: number): Promise<readonly TokenCall[]> {
  const calls: TokenCall[] = [];
  open.push(await openHostTokenSocket(path, answering(status, calls)));
  return calls;
}

function ask(target: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ socketPath: path, path: target, headers, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .once("error", reject)
      .end();
  });
}

test("S63 only NMI's own user may open it, and it serves host tokens alone", async () => {
  const calls = await listen(418);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
  expect(await ask("/host/token/?resource=r", { podns: "default", podname: "p" })).toBe(418);
  expect(calls.map(({ pod }) => pod)).toEqual([{ namespace: "default", name: "p" }]);
  expect(await ask("/host/token/?resource=r", {})).toBe(400);
  expect(await ask("/metadata/identity/oauth2/token?resource=r", { metadata: "true" })).toBe(404);
  expect(await ask("/metadata/instance", { metadata: "true" })).toBe(404);
  expect(calls).toHaveLength(1);
  expect(parseRequest({ method: "GET", target: "/host/token", rawHeaders: [] }).kind).toBe("refusal");
});

test("a successor takes the name over, and its predecessor does not take it away", async () => {
  await listen(418);
  await listen(419);
  const host = { podns: "default", podname: "p" };
  expect(await ask("/host/token/?resource=r", host)).toBe(419);
  await open.shift()?.close();
  expect(await ask("/host/token/?resource=r", host)).toBe(419);
  await open.shift()?.close();
  expect(existsSync(path)).toBe(false);
});

test("S63 the loopback address, for node agents that receive pods elsewhere: host tokens alone, for the host alone", async () => {
  const calls: TokenCall[] = [];
  const endpoint = await openHostTokenPort(0, answering(418, calls));
  open.push(endpoint);
  const { port } = endpoint;
  const get = (from: string, target: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = { podns: "default", podname: "p", metadata: "true" };
      request({ host: "127.0.0.1", port, localAddress: from, path: target, headers, agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .once("error", reject)
        .end();
    });
  expect(await get("127.0.0.1", "/host/token/?resource=r")).toBe(418);
  expect(await get("127.0.0.9", "/host/token/?resource=r")).toBe(500);
  expect(await get("127.0.0.1", "/metadata/identity/oauth2/token?resource=r")).toBe(404);
  expect(calls).toHaveLength(1);
});
