import { describe, expect, test } from "vitest";
import { GROUP, setUp } from "../test/set-up.ts";
import type { Ledger } from "./ledger.ts";
import { Assigner } from "./assigner.ts";
import { identity } from "./testing/fixtures.ts";

type World = ReturnType<typeof setUp>;

function ledgerOf({ ledgers }: World): Ledger {
  const stored = ledgers.ledgers.get(GROUP.key);
  if (stored === undefined) throw new Error("fixture");
  return stored.ledger;
}

/** Resolves the promise that it returns when told to. */
function gate(): { readonly open: () => void; readonly promise: Promise<void> } {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => (open = resolve));
  return { open: () => open(), promise };
}

describe("epochs", () => {
  test("a new leader raises the ledger's before it looks at the machine", async () => {
    const world = setUp();
    await world.assign(["a"], { epoch: 1 });
    const read = world.arm.read.bind(world.arm);
    world.arm.read = (group, signal) => {
      expect(ledgerOf(world).epoch).toBe(2);
      return read(group, signal);
    };
    expect(await world.assign(["a"], { epoch: 2 })).toMatchObject({ kind: "converged", requests: 0 });
  });

  test("a deposed leader that wants to detach meets a conflict, sees the higher epoch, and stops", async () => {
    const world = setUp();
    await world.assign(["a"], { epoch: 1 });
    let once = true;
    const outcome = await world.assign([], {
      epoch: 1,
      onPlan: () => {
        if (!once) return;
        once = false;
        // The new leader takes over between the old one's look and its record.
        const stored = world.ledgers.ledgers.get(GROUP.key);
        if (stored !== undefined)
          world.ledgers.ledgers.set(GROUP.key, { ledger: { ...stored.ledger, epoch: 2 }, version: stored.version + 1 });
      },
    });
    expect([outcome.kind, world.attached(), world.arm.patches.length]).toEqual(["fenced", ["a"], 1]);
  });
});

describe("a detach that a deposed leader still has on the wire", () => {
  /** The old leader has written down that it detaches, and hangs right before its PATCH. */
  async function paused(options: { etags: boolean }): Promise<World & { resume: () => Promise<void> }> {
    const world = setUp();
    world.arm.withoutEtags = !options.etags;
    await world.assign(["a"], { epoch: 1 });
    const { open, promise } = gate();
    const reached = gate();
    const old = new Assigner({
      arm: Object.assign(Object.create(world.arm) as typeof world.arm, {
        read: world.arm.read.bind(world.arm),
        patch: async (...args: Parameters<typeof world.arm.patch>) => {
          reached.open();
          await promise;
          return world.arm.patch(...args);
        },
      }),
      ledgers: world.ledgers,
      clock: world.clock,
      limits: { maxAttempts: 1 },
    });
    const controller = new AbortController();
    const detaching = old.assign({
      group: GROUP,
      desired: () => [],
      isProtected: () => false,
      epoch: 1,
      signal: controller.signal,
    });
    await reached.promise;
    return {
      ...world,
      resume: async () => {
        open();
        await detaching;
      },
    };
  }

  test("the identity is needed again: it is attached anew, and the late PATCH fails by its etag", async () => {
    const world = await paused({ etags: true });
    expect(ledgerOf(world).entries[identity("a").key]).toMatchObject({
      state: "detaching",
      epoch: 1,
      etag: expect.any(String),
    });
    expect(await world.assign(["a"], { epoch: 2 })).toMatchObject({ kind: "converged", requests: 1 });
    await world.resume();
    expect(world.attached()).toEqual(["a"]);
    expect(ledgerOf(world).entries[identity("a").key]?.state).toBe("attached");
  });

  test("without etags: nothing can stop it, so that the new leader looks again when it can no longer come true", async () => {
    const world = await paused({ etags: false });
    const outcome = await world.assign(["a"], { epoch: 2 });
    expect([outcome.requests, outcome.lookAgainAt]).toEqual([0, ledgerOf(world).entries[identity("a").key]?.deadline]);
    await world.resume();
    expect(world.attached()).toEqual([]);
    world.clock.time = outcome.lookAgainAt ?? 0;
    expect(await world.assign(["a"], { epoch: 2 })).toMatchObject({ kind: "converged", requests: 1 });
    expect(world.attached()).toEqual(["a"]);
  });
});

describe("a running operation", () => {
  /** The leader dies while ARM works. */
  async function interrupted(): Promise<World & { end: () => void }> {
    const world = setUp();
    const { open, promise } = gate();
    const running = gate();
    world.arm.whileRunning = () => {
      running.open();
      return promise;
    };
    const controller = new AbortController();
    const dying = world.assign(["a"], { epoch: 1, signal: controller.signal });
    await running.promise;
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new Error("killed"));
    await expect(dying).rejects.toThrow("killed");
    return { ...world, end: open };
  }

  test("its name is in the ledger; the successor follows it to its end and sends no second PATCH", async () => {
    const world = await interrupted();
    expect(ledgerOf(world).running).toEqual({ operation: "operation-1", deadline: expect.any(Number) });
    const succeeding = world.assign(["a"], { epoch: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    world.end();
    const outcome = await succeeding;
    expect([outcome.kind, outcome.requests, world.arm.patches.length, world.arm.resumed]).toEqual([
      "converged",
      0,
      1,
      ["operation-1"],
    ]);
    expect(outcome.state?.attached.get(identity("a").key)?.clientId).toBe("client-a");
    expect(ledgerOf(world)).toMatchObject({ epoch: 2, entries: { [identity("a").key]: { state: "attached" } } });
    expect(ledgerOf(world).running).toBeUndefined();
    // And it is ours.
    await world.assign([], { epoch: 2 });
    expect(world.attached()).toEqual([]);
  });

  test("one that ARM has forgotten keeps nobody waiting", async () => {
    const world = await interrupted();
    world.end();
    world.arm.operations.clear();
    expect(await world.assign(["a"], { epoch: 2 })).toMatchObject({ kind: "converged", requests: 0 });
  });

  test("that its name could not be written costs nothing", async () => {
    const world = setUp();
    let saves = 0;
    world.ledgers.beforeSave = () => {
      saves += 1;
      if (saves === 2) throw new Error("API server away");
    };
    expect(await world.assign(["a"])).toMatchObject({ kind: "converged", requests: 1 });
  });
});

describe("a turn that took long", () => {
  test("the machine is looked at again before anything is sent, and what is not needed any more is not sent", async () => {
    let needed = [identity("a")];
    let left = 0;
    const world = setUp({
      gate: {
        enter: () => {
          needed = [];
          return Promise.resolve({ kind: "go", waitedMs: 60_000 });
        },
        leave: () => (left += 1),
      },
    });
    const outcome = await world.assigner.assign({ group: GROUP, desired: () => needed, isProtected: () => false });
    expect([outcome.kind, outcome.requests, world.arm.reads, left, world.ledgers.saves]).toEqual([
      "converged",
      0,
      2,
      1,
      0,
    ]);
  });
});
