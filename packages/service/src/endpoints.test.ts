import { Counter, Registry } from "prom-client";
import { expect, test } from "vitest";
import { startMetrics, startProbes } from "./endpoints.ts";

test("probes answer with state and reasons", async () => {
  let why: string | undefined = "caches are not synced";
  const probes = await startProbes({
    host: "127.0.0.1",
    port: 0,
    healthz: () => "Active",
    live: { loop: () => undefined },
    ready: { rules: () => undefined, caches: () => why },
  });
  const get = async (path: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${probes.port}${path}`);
    return [response.status, await response.text()];
  };
  expect(await get("/healthz")).toEqual([200, "Active"]);
  expect(await get("/livez")).toEqual([200, "[+]loop ok\nok\n"]);
  expect(await get("/readyz?verbose")).toEqual([503, "[+]rules ok\n[-]caches failed: caches are not synced\n"]);
  why = undefined;
  expect((await get("/readyz"))[0]).toBe(200);
  expect((await get("/debug/pprof"))[0]).toBe(404);
  await probes.close();
});

test("metrics serve one registry", async () => {
  const registry = new Registry();
  new Counter({ name: "podid_test_total", help: "Test.", registers: [registry] }).inc(2);
  const metrics = await startMetrics({ host: "127.0.0.1", port: 0, registry });
  const response = await fetch(`http://127.0.0.1:${metrics.port}/metrics`);
  expect(response.headers.get("content-type")).toContain("text/plain");
  expect(await response.text()).toContain("podid_test_total 2");
  await metrics.close();
});

test("a port in use is an error, not a crash", async () => {
  const first = await startMetrics({ host: "127.0.0.1", port: 0, registry: new Registry() });
  await expect(startMetrics({ host: "127.0.0.1", port: first.port, registry: new Registry() })).rejects.toThrow(
    "EADDRINUSE",
  );
  await first.close();
});
