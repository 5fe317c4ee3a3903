import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LateEndpoint } from "./late-endpoint.ts";
import { NodeLock } from "./node-lock.ts";
import { probeCommand } from "./probe-command.ts";
import { openProbeSocket, probe } from "./probe-socket.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "probe-"));
  path = join(directory, "probe.sock");
});
afterEach(() => rm(directory, { recursive: true }));

describe("the probe socket", () => {
  test("answers of this very process, with its reasons, and the command returns them", async () => {
    let reason: string | undefined = "the rules are not in yet";
    const endpoint = await openProbeSocket(path, { live: {}, ready: { rules: () => reason, caches: () => undefined } });
    expect(await probe(path, "ready")).toEqual({ ok: false, text: "rules: the rules are not in yet\n" });
    expect((await probe(path, "live")).ok).toBe(true);
    expect(await probeCommand([`--probe-socket=${path}`], {})).toBe(1);
    expect(await probeCommand(["--live"], { NMI_PROBE_SOCKET: path })).toBe(0);
    reason = undefined;
    expect(await probeCommand([`--probe-socket=${path}`], {})).toBe(0);
    await endpoint.close();
    expect(await probe(path, "live")).toEqual({ ok: false, text: expect.stringContaining(path) as string });
  });

  test("a socket of a killed process is replaced", async () => {
    const first = await openProbeSocket(path, { live: {}, ready: {} });
    const second = await openProbeSocket(path, { live: {}, ready: {} });
    expect((await probe(path, "ready")).ok).toBe(true);
    await Promise.all([first.close(), second.close()]);
  });

  test.for([[[]], [["--readiness"]], [["--probe-socket="]]] as const)("the command refuses %j", async ([argv]) => {
    expect(await probeCommand(argv, {})).toBe(2);
  });
});

describe("an endpoint whose port is taken", () => {
  const taken = Object.assign(new Error("taken"), { code: "EADDRINUSE" });

  test("is no failure, and opens when the port is free", async () => {
    let timer: (() => void) | undefined;
    let busy = true;
    const endpoint = await LateEndpoint.open({
      name: "metrics",
      open: () => (busy ? Promise.reject(taken) : Promise.resolve({ port: 9090, close: () => Promise.resolve() })),
      clock: {
        setTimeout: (run) => {
          timer = run;
          return { cancel: () => undefined };
        },
      },
      log: silent,
    });
    expect(endpoint.port).toBe(0);
    timer?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(endpoint.port).toBe(0);
    busy = false;
    timer?.();
    await expect.poll(() => endpoint.port).toBe(9090);
    await endpoint.close();
  });

  test("another failure is one", async () => {
    const open = (): Promise<never> => Promise.reject(new Error("EACCES"));
    await expect(
      LateEndpoint.open({ name: "m", open, clock: { setTimeout: () => ({ cancel: () => undefined }) }, log: silent }),
    ).rejects.toThrow("EACCES");
  });
});

test("the lock has one holder, and the next one when that lets go", async () => {
  const name = `podid-test-${directory}`;
  const [first, second] = [new NodeLock(name), new NodeLock(name)];
  expect([await first.acquire(), await first.acquire(), await second.acquire()]).toEqual([true, true, false]);
  await first.release();
  expect([await second.acquire(), await first.acquire()]).toEqual([true, false]);
  await second.release();
});
