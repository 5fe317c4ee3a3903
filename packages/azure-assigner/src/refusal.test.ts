import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GROUP, namesOf, setUp } from "../test/set-up.ts";
import { JumpingClock } from "../test/jumping-clock.ts";
import type { IdentityDirectory } from "./arm.ts";
import { GuardedArm } from "./guard/guarded-arm.ts";
import { Assigner } from "./assigner.ts";
import type { AssignRequest } from "./assign-request.ts";
import { identity } from "./testing/fixtures.ts";
import { MemoryArm } from "./testing/memory-arm.ts";
import { MemoryLedgerStore } from "./testing/memory-ledger-store.ts";

const FACTS = { clientId: "c", principalId: "p", tenantId: "t" };

function directoryOf(exists: (name: string) => boolean): IdentityDirectory & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    find: (id) => {
      const name = id.slice(id.lastIndexOf("/") + 1);
      asked.push(name);
      return Promise.resolve(exists(name) ? FACTS : undefined);
    },
  };
}

const many = Array.from({ length: 16 }, (_, n) => `id${String(n).padStart(2, "0")}`);

describe("who may not be assigned is found by trials, because ARM names everybody", () => {
  test("one of sixteen, in a few requests; all others are attached, and nobody is asked about twice", async () => {
    const directory = directoryOf(() => true);
    const { arm, assign, attached } = setUp({ directory });
    arm.unassignable.add(identity("id05").key);
    const outcome = await assign(many);
    expect([outcome.kind, namesOf(outcome.refused.keys())]).toEqual(["converged", ["id05"]]);
    expect(attached().toSorted()).toEqual(many.filter((name) => name !== "id05"));
    expect(outcome.requests).toBeLessThanOrEqual(1 + 2 * 4);
    expect(directory.asked.toSorted()).toEqual(many);
  });

  test("alone in its request it is to blame at once", async () => {
    const { arm, assign } = setUp();
    arm.unassignable.add(identity("a").key);
    expect(await assign(["a"])).toMatchObject({ kind: "converged", requests: 1 });
  });

  test("a pod that comes meanwhile does not wait for the trials' end", async () => {
    const { arm, assigner } = setUp();
    arm.unassignable.add(identity("id05").key);
    let needed = many.map(identity);
    const order: string[][] = [];
    arm.beforePatch = (_group, { userAssignedIdentities = {} }) => {
      order.push(namesOf(Object.keys(userAssignedIdentities)));
      if (order.length === 2) needed = [...needed, identity("late")];
    };
    const outcome = await assigner.assign({ group: GROUP, desired: () => needed, isProtected: () => false });
    expect(outcome.kind).toBe("converged");
    expect(order[2]).toEqual(["late"]);
  });

  test("each step tells how far it came", async () => {
    const { arm, assign } = setUp();
    arm.unassignable.add(identity("id05").key);
    const steps: number[] = [];
    await assign(many, { onProgress: ({ state }) => steps.push(state?.attached.size ?? 0) });
    expect(steps.length).toBeGreaterThan(2);
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
    expect(steps.at(-1)).toBe(15);
  });
});

test("law: whatever ARM refuses, in whatever way, all others are attached, the refused are named, and nothing foreign is touched", async () => {
  const names = fc.uniqueArray(
    fc.integer({ min: 0, max: 25 }).map((n) => `id${n}`),
    { maxLength: 25 },
  );
  const world = fc.record({
    desired: names,
    former: names,
    unknown: names,
    unassignable: names,
    suspects: names,
    foreign: names,
    directory: fc.boolean(),
    etags: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(world, async ({ desired, former, unknown, unassignable, suspects, foreign, directory, etags }) => {
      const { arm, assign, attached } = setUp(
        directory ? { directory: directoryOf((name) => !unknown.includes(name)) } : {},
      );
      arm.withoutEtags = !etags;
      const theirs = foreign.map((name) => `their-${name}`);
      arm.attach(GROUP, ...theirs.map((name) => identity(name).id));
      await assign(former);
      const ours = new Set(former);
      arm.known = new Set(
        Array.from({ length: 26 }, (_, n) => `id${n}`)
          .filter((name) => !unknown.includes(name))
          .map((name) => identity(name).key),
      );
      for (const name of unassignable) arm.unassignable.add(identity(name).key);
      const outcome = await assign(desired, { suspects: () => suspects.map((name) => identity(name).key) });
      const bad = desired.filter((name) => !ours.has(name) && (unknown.includes(name) || unassignable.includes(name)));
      expect(outcome.kind).toBe("converged");
      expect(attached().toSorted()).toEqual([...theirs, ...desired.filter((name) => !bad.includes(name))].toSorted());
      expect(namesOf(outcome.refused.keys())).toEqual(bad.toSorted());
    }),
    { numRuns: 60 },
  );
});

describe("within the machine's write budget", () => {
  function world() {
    const clock = new JumpingClock();
    const memory = new MemoryArm();
    const arm = new GuardedArm(memory, { clock });
    const assigner = new Assigner({ arm, gate: arm, ledgers: new MemoryLedgerStore(), clock });
    const waits = new Map<string, number>();
    const assign = async (names: readonly string[], more: Partial<AssignRequest> = {}) => {
      const outcome = await assigner.assign({
        group: GROUP,
        desired: () => names.map(identity),
        isProtected: () => false,
        skip: () => new Set([...waits].filter(([, until]) => clock.time < until).map(([key]) => key)),
        suspects: () => [...waits.keys()],
        ...more,
      });
      for (const [key, { retryAfterMs }] of outcome.deferred) waits.set(key, clock.time + retryAfterMs);
      for (const key of outcome.refused.keys()) waits.set(key, Infinity);
      return outcome;
    };
    return { clock, memory, arm, assign, waits };
  }

  test("trials stop while four requests are left, and go on where they were when there is room again", async () => {
    const { clock, memory, arm, assign } = world();
    const bad = ["id03", "id08", "id13"];
    for (const name of bad) memory.unassignable.add(identity(name).key);
    const first = await assign(many);
    expect([first.kind, first.requests, clock.time]).toEqual(["converged", 8, 0]);
    expect(first.deferred.size).toBeGreaterThan(0);
    // Four are left for pods that come now.
    expect(await arm.enter(GROUP, { patient: false })).toEqual({ kind: "go", waitedMs: 0 });
    arm.leave(GROUP);
    expect((await assign([...many, "late"])).state?.attached.has(identity("late").key)).toBe(true);

    const refused = new Set(first.refused.keys());
    for (let i = 0; i < 40; i += 1) {
      clock.time += 15_000;
      for (const key of (await assign([...many, "late"])).refused.keys()) refused.add(key);
    }
    expect(namesOf(refused)).toEqual(bad);
    expect(namesOf(memory.machine(GROUP).identities.keys())).toEqual(
      [...many.filter((name) => !bad.includes(name)), "late"].toSorted(),
    );
    const minutes = clock.time / 60_000;
    expect(memory.patches.length).toBeLessThanOrEqual(12 + 4 * minutes);
  });
});

describe("refused before, and due again", () => {
  test("it is asked about first: one that still does not exist costs no request", async () => {
    const directory = directoryOf((name) => name !== "gone");
    const { assign, attached } = setUp({ directory });
    const outcome = await assign(["gone", "good"], { suspects: () => [identity("gone").key] });
    expect([outcome.requests, attached()]).toEqual([1, ["good"]]);
    expect(outcome.refused.get(identity("gone").key)).toMatchObject({ code: "IdentityNotFound", status: 404 });
  });

  test("it is tried apart, so that it spoils nobody's request", async () => {
    const { arm, assign } = setUp();
    arm.unassignable.add(identity("bad").key);
    await assign(["bad", "good"], { suspects: () => [identity("bad").key] });
    expect(arm.patches.map(({ patch }) => namesOf(Object.keys(patch.userAssignedIdentities ?? {})))).toEqual([
      ["good"],
      ["bad"],
    ]);
  });

  test("one that exists by now is attached", async () => {
    const { assign, attached } = setUp({ directory: directoryOf(() => true) });
    expect(await assign(["a"], { suspects: () => [identity("a").key] })).toMatchObject({
      kind: "converged",
      requests: 1,
    });
    expect(attached()).toEqual(["a"]);
  });
});

describe("an identity that is attached was deleted", () => {
  test.for([
    { how: "ARM names it", named: true, directory: undefined },
    { how: "the identity provider says so", named: false, directory: directoryOf((name) => name !== "dead") },
  ])("$how: ours is detached, although a pod needs it, and the others are attached", async ({ named, directory }) => {
    const { arm, assign, attached } = setUp(directory === undefined ? {} : { directory });
    await assign(["dead"]);
    const entry = arm.machine(GROUP).identities.get(identity("dead").key);
    if (entry !== undefined && !named) entry.clientId = undefined;
    // As Azure: a PATCH that keeps it is refused.
    let struck = false;
    const patch = arm.patch.bind(arm);
    arm.patch = (group, body, options) => {
      const removes = Object.values(body.userAssignedIdentities ?? {}).includes(null) || body.type === "None";
      if (!removes && !struck) {
        struck = true;
        const identities = named ? [identity("dead").key] : [];
        arm.failNext("patch", {
          kind: "identities-refused",
          status: 400,
          code: "FailedIdentityOperation",
          message: "Resource was not found.",
          identities,
        });
      }
      return patch(group, body, options);
    };
    arm.known = new Set([identity("good").key]);
    const outcome = await assign(["dead", "good"]);
    expect([outcome.kind, attached(), namesOf(outcome.refused.keys())]).toEqual(["converged", ["good"], ["dead"]]);
  });

  test("somebody else's stays, and the problem says what to do", async () => {
    const { arm, assign, attached } = setUp();
    arm.attach(GROUP, identity("theirs").id);
    arm.failNext("patch", {
      kind: "identities-refused",
      status: 400,
      code: "FailedIdentityOperation",
      message: "not found",
      identities: [identity("theirs").key],
    });
    const outcome = await assign(["good"]);
    expect(outcome).toMatchObject({ kind: "failed", problem: { kind: "identities-refused" } });
    expect(outcome.problem?.message).toContain("detach it by hand");
    expect([...outcome.refused.keys(), ...attached()]).toEqual(["theirs"]);
  });
});

describe("deleted and made again under the same name", () => {
  function stale(world: ReturnType<typeof setUp>, name: string): void {
    const entry = world.arm.machine(GROUP).identities.get(identity(name).key);
    if (entry === undefined) throw new Error("fixture");
    entry.clientId = undefined;
  }

  test("ours is detached and attached again; the others stay", async () => {
    const world = setUp({ directory: directoryOf(() => true) });
    await world.assign(["a", "b"]);
    stale(world, "a");
    const detached: string[] = [];
    const outcome = await world.assign(["a", "b"], { onDetaching: (keys) => detached.push(...namesOf(keys)) });
    expect(outcome).toMatchObject({ kind: "converged", requests: 2, refused: new Map() });
    expect(outcome.state?.attached.get(identity("a").key)?.clientId).toBe("client-a");
    expect([detached, namesOf(outcome.owned)]).toEqual([["a"], ["a", "b"]]);
  });

  test("only deleted: detached, not attached, and reported", async () => {
    const world = setUp({ directory: directoryOf((name) => name !== "a") });
    await world.assign(["a", "b"]);
    stale(world, "a");
    const outcome = await world.assign(["a", "b"]);
    expect([world.attached(), outcome.requests]).toEqual([["b"], 1]);
    expect(outcome.refused.get(identity("a").key)).toMatchObject({ code: "IdentityNotFound" });
  });

  test("if attaching it again does not help, it is reported, and left alone until its back-off is over", async () => {
    const world = setUp();
    await world.assign(["a"]);
    stale(world, "a");
    const patch = world.arm.patch.bind(world.arm);
    world.arm.patch = async (group, body, options) => {
      const state = await patch(group, body, options);
      if (!world.arm.machine(group).identities.has(identity("a").key)) return state;
      stale(world, "a");
      return world.arm.read(group);
    };
    const outcome = await world.assign(["a"]);
    expect(outcome.refused.get(identity("a").key)).toMatchObject({ code: "IdentityWithoutClientId" });
    const { requests } = outcome;
    expect(requests).toBe(2);
    const waiting = await world.assign(["a"], { skip: () => new Set([identity("a").key]) });
    expect(waiting.requests).toBe(0);
  });

  test.for([
    { whose: "somebody else's", own: false, shielded: false },
    { whose: "a protected one", own: true, shielded: true },
  ])("$whose stays, and is reported", async ({ own, shielded }) => {
    const world = setUp();
    if (own) await world.assign(["a"]);
    else world.arm.attach(GROUP, identity("a").id);
    stale(world, "a");
    const outcome = await world.assign(["a"], { isProtected: () => shielded });
    expect([outcome.requests, world.attached()]).toEqual([0, ["a"]]);
    expect(outcome.refused.get(identity("a").key)?.message).toContain("by hand");
  });

  test("while an operation runs, an entry without client id means nothing", async () => {
    const world = setUp({ limits: { holdUpdatingMs: 60_000 } });
    await world.assign(["a"]);
    stale(world, "a");
    world.arm.machine(GROUP).provisioningState = "Updating";
    const outcome = await world.assign(["a"]);
    expect([outcome.requests, outcome.refused.size]).toEqual([0, 0]);
    expect(world.clock.time).toBeGreaterThanOrEqual(60_000);
  });
});
