import { request } from "node:http";
import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";
import { openProfiler, startProfiler } from "./profiler.ts";

function ask(port: number, path: string, host = "localhost"): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, headers: { host } }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (text: string) => (body += text));
      answer.once("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    })
      .once("error", reject)
      .end();
  });
}

test("L-19 profiles on the loopback address, one at a time, and never a heap's contents", async () => {
  const profiler = await startProfiler({ port: 0 });
  try {
    const { port } = profiler;
    expect((await ask(port, "/debug/pprof/")).body).toContain("/debug/pprof/profile");
    const running = ask(port, "/debug/pprof/profile?seconds=0.3");
    await expect.poll(async () => (await ask(port, "/debug/pprof/heap?seconds=0.1")).status).toBe(409);
    const cpu = await running;
    expect([cpu.status, Object.keys(JSON.parse(cpu.body) as object)]).toEqual([
      200,
      expect.arrayContaining(["nodes", "samples"]),
    ]);
    const heap = await ask(port, "/debug/pprof/heap?seconds=0.05");
    expect(Object.keys(JSON.parse(heap.body) as object)).toEqual(expect.arrayContaining(["head"]));
    expect((await ask(port, "/debug/pprof/profile?seconds=x")).status).toBe(400);
    expect((await ask(port, "/debug/pprof/snapshot")).status).toBe(404);
    expect((await ask(port, "/debug/pprof/", "attacker.example")).status).toBe(403);
  } finally {
    await profiler.close();
  }
});

test("a port that somebody has: no profiles, and a word about it", async () => {
  const profiler = await startProfiler({ port: 0 });
  const said: string[] = [];
  const log = createLogger({ component: "test", format: "text", write: (line) => said.push(line) });
  expect(await openProfiler(log, profiler.port)).toBeUndefined();
  expect(said.join("")).toContain(`no profiles: 127.0.0.1:${profiler.port}`);
  const port = profiler.port;
  await profiler.close();
  const opened = await openProfiler(log, port);
  expect((await ask(port, "/debug/pprof/")).status).toBe(200);
  await opened?.close();
});
