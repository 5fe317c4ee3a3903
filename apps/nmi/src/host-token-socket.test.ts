import { errorReply, parseRequest } from "@podid/imds-proxy";
import type { ImdsProxyOptions, TokenCall, TokenService } from "@podid/imds-proxy";
import { existsSync, mkdtempSync, statSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { openHostTokenSocket } from "./host-token-socket.ts";
import type { HostTokenSocket } from "./host-token-socket.ts";

const open: HostTokenSocket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) await socket.close();
});

const path = join(mkdtempSync(join(tmpdir(), "nmi-")), "private/host-token.sock");

async function listen(status: number): Promise<readonly TokenCall[]> {
  const calls: TokenCall[] = [];
  const tokens = {
    handle: (call: TokenCall) => {
      calls.push(call);
      return {
        reply: errorReply(status, "x", "y"),
        facts: { outcome: "denied", parkedMs: 0, sourceMs: 0 },
      };
    },
  };
  open.push(await openHostTokenSocket(path, { tokens: tokens as unknown as TokenService } as ImdsProxyOptions));
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
