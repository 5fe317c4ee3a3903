import { expect, test } from "vitest";
import { Doors } from "./doors.ts";
import type { Door } from "./doors.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Ports that are taken, and what happened to doors; time passes when `pass` says so. */
function setUp(...taken: number[]) {
  const busy = new Set(taken);
  const events: string[] = [];
  const connections = new Map<number, number>();
  const timers: { at: number; run: () => void }[] = [];
  let nowMs = 0;
  let free = 40_000;
  let leads = true;
  const open = (wanted: number): Promise<Door> => {
    if (busy.has(wanted)) return Promise.reject(Object.assign(new Error("taken"), { code: "EADDRINUSE" }));
    const port = wanted === 0 ? free++ : wanted;
    busy.add(port);
    events.push(`opened ${port}`);
    return Promise.resolve({
      port,
      retire: (retired) => events.push(`${retired ? "retired" : "reopened"} ${port}`),
      connections: () => connections.get(port) ?? 0,
      close: () => {
        busy.delete(port);
        events.push(`closed ${port}`);
        return Promise.resolve();
      },
    });
  };
  const doors = new Doors({
    open,
    home: 2579,
    spare: 2580,
    leadHome: () => {
      events.push(leads ? "rules lead home" : "rules failed");
      return Promise.resolve(leads);
    },
    clock: {
      monotonicMs: () => nowMs,
      setTimeout: (run, ms) => {
        const timer = { at: nowMs + ms, run };
        timers.push(timer);
        return { cancel: () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1)) };
      },
    },
    log: silent,
  });
  const pass = async (ms: number): Promise<void> => {
    const untilMs = nowMs + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > untilMs) break;
      timers.splice(timers.indexOf(next), 1);
      nowMs = next.at;
      next.run();
    }
    nowMs = untilMs;
  };
  return {
    doors,
    events,
    pass,
    connections,
    free: (port: number) => busy.delete(port),
    lead: (to: boolean) => (leads = to),
  };
}

test.for([
  [[], 2579, true],
  [[2579], 2580, false],
  [[2579, 2580], 40_000, false],
] as const)("with %j taken it listens on %d", async ([taken, port, atHome]) => {
  const { doors } = setUp(...taken);
  await doors.open();
  expect([doors.port, doors.atHome]).toEqual([port, atHome]);
});

test("moves home when that is free: opens, leads the rules, and only then leaves the old port", async () => {
  const { doors, events, pass, connections, free } = setUp(2579);
  await doors.open();
  doors.goHome();
  await pass(5_000);
  expect(events).toEqual(["opened 2580"]);
  connections.set(2580, 1);
  free(2579);
  await pass(500);
  expect([doors.port, doors.atHome]).toEqual([2579, true]);
  expect(events).toEqual(["opened 2580", "opened 2579", "rules lead home"]);
  // Late arrivals first, then idle connections get time.
  await pass(2_000);
  expect(events.at(-1)).toBe("retired 2580");
  await pass(5_000);
  expect(events).not.toContain("closed 2580");
  connections.set(2580, 0);
  await pass(100);
  expect(events.at(-1)).toBe("closed 2580");
});

test("an idle connection keeps the old port for 10 s at most", async () => {
  const { doors, events, pass, connections, free } = setUp(2579);
  await doors.open();
  doors.goHome();
  connections.set(2580, 1);
  free(2579);
  await pass(13_000);
  expect(events.at(-1)).toBe("closed 2580");
});

test("rules that fail keep both ports open until they lead home", async () => {
  const { doors, events, pass, free, lead } = setUp(2579);
  await doors.open();
  lead(false);
  doors.goHome();
  free(2579);
  await pass(1_600);
  expect(doors.port).toBe(2580);
  expect(events).toEqual(["opened 2580", "opened 2579", "rules failed", "rules failed", "rules failed"]);
  lead(true);
  await pass(3_000);
  expect(events.slice(-3)).toEqual(["rules lead home", "retired 2580", "closed 2580"]);
});

test("whoever gave its rules away stays where it is", async () => {
  const { doors, events, pass, free } = setUp(2579);
  await doors.open();
  doors.goHome();
  await doors.stay();
  free(2579);
  await pass(5_000);
  expect(events).toEqual(["opened 2580"]);
  doors.goHome();
  await pass(500);
  expect(doors.atHome).toBe(true);
});
