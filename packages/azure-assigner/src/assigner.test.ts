import { describe, expect, test } from "vitest";
import type { IdentityDirectory } from "./arm.ts";
import { identity, scaleSet, virtualMachine } from "./testing/fixtures.ts";
import { GROUP, namesOf, setUp } from "../test/set-up.ts";

describe("ownership", () => {
  test("attaches, then detaches what it attached, and asks nothing when nothing differs", async () => {
    const { arm, assign, attached } = setUp();
    expect(await assign(["a", "b"])).toMatchObject({ kind: "converged", requests: 1 });
    expect(await assign(["a", "b"])).toMatchObject({ kind: "converged", requests: 0 });
    expect(await assign(["b"])).toMatchObject({ requests: 1 });
    expect(attached()).toEqual(["b"]);
    expect(await assign([])).toMatchObject({ requests: 1, owned: new Set() });
    expect(arm.machine(GROUP)).toMatchObject({ type: "None" });
  });

  test("never detaches what was there before", async () => {
    const { arm, assign, attached } = setUp();
    arm.attach(GROUP, identity("a").id);
    await assign(["a", "b"]);
    await assign([]);
    expect(attached()).toEqual(["a"]);
  });

  test("writes down what it is about to do before it does it", async () => {
    const { arm, assign, ledgerEntries } = setUp();
    arm.beforePatch = () =>
      expect(ledgerEntries()[identity("a").key]).toMatchObject({ state: "pending", origin: "podid" });
    await assign(["a"]);
    arm.beforePatch = () => expect(ledgerEntries()[identity("a").key]).toMatchObject({ state: "detaching" });
    await assign([]);
    expect(arm.patches).toHaveLength(2);
    expect(ledgerEntries()).toEqual({});
  });

  test("a crash between PATCH and record loses nothing", async () => {
    const { arm, ledgers, assign, attached } = setUp();
    let saves = 0;
    ledgers.beforeSave = () => {
      saves += 1;
      if (saves >= 2) throw new Error("killed");
    };
    await expect(assign(["a"])).rejects.toThrow("killed");
    ledgers.beforeSave = undefined;
    expect(attached()).toEqual(["a"]);
    await assign([]);
    expect(attached()).toEqual([]);
    expect(arm.patches).toHaveLength(2);
  });

  test("a machine made again under the same name voids the ledger", async () => {
    const { arm, assign, attached } = setUp();
    await assign(["a"]);
    arm.machine(GROUP).uniqueId = "another";
    await assign([]);
    expect(attached()).toEqual(["a"]);
  });

  test("takes over what upstream attached once, less what is protected", async () => {
    const { arm, assign, attached } = setUp();
    arm.attach(GROUP, ...["a", "b", "cluster"].map((name) => identity(name).id));
    const adopted: string[] = [];
    const more = {
      adoptable: () => ["a", "cluster", "missing"].map((name) => identity(name).key),
      onAdopt: (keys: readonly string[]) => adopted.push(...keys),
      isProtected: ({ key }: { key: string }) => key === identity("cluster").key,
    };
    await assign(["a"], more);
    expect(adopted).toEqual([identity("a").key]);
    await assign([], { ...more, adoptable: () => [identity("b").key] });
    expect(attached()).toEqual(["b", "cluster"]);
  });

  test("a protected identity that it attached itself stays", async () => {
    const { assign, attached, arm } = setUp();
    await assign(["a"]);
    expect(await assign([], { isProtected: () => true })).toMatchObject({ kind: "converged", requests: 0 });
    expect(attached()).toEqual(["a"]);
    expect(arm.patches).toHaveLength(1);
  });

  test("a pod that comes back while the detach is being written down keeps its identity", async () => {
    const { arm, ledgers, assigner, attached } = setUp();
    let needed = [identity("a")];
    const request = { group: GROUP, desired: () => needed, isProtected: () => false };
    await assigner.assign(request);
    needed = [];
    ledgers.beforeSave = () => (needed = [identity("a")]);
    expect(await assigner.assign(request)).toMatchObject({ kind: "converged" });
    expect(attached()).toEqual(["a"]);
    expect(arm.patches.every(({ patch }) => patch.type === "UserAssigned")).toBe(true);
  });

  test("a dry run shows the plan and touches nothing", async () => {
    const { arm, ledgers, assign } = setUp();
    const plans: number[] = [];
    await assign(["a"], { dryRun: true, onPlan: ({ attach }) => plans.push(attach.length) });
    expect([plans, arm.patches.length, ledgers.saves]).toEqual([[1], 0, 0]);
  });
});

describe("fencing", () => {
  test.for([1, 2])("writes nothing once the lease is lost (at check %i)", async (last) => {
    const { arm, assign } = setUp();
    let checks = 0;
    const outcome = await assign(["a"], { fenced: () => (++checks >= last ? "lease lost" : undefined) });
    expect(outcome.kind).toBe("fenced");
    expect(arm.patches).toEqual([]);
  });
});

describe("conflicts", () => {
  test("412: reads again and keeps what the other did", async () => {
    const { arm, assign, attached, clock } = setUp();
    let once = true;
    arm.beforePatch = (group) => {
      if (once) arm.attach(group, identity("other").id);
      once = false;
    };
    expect(await assign(["a"])).toMatchObject({ kind: "converged", requests: 2 });
    expect(attached()).toEqual(["other", "a"]);
    expect(clock.time).toBe(500);
    await assign([]);
    expect(attached()).toEqual(["other"]);
  });

  test.for([
    { name: "success", faults: [], patches: 1, kind: "converged" },
    { name: "always a conflict", faults: ["conflict", "conflict", "conflict"], patches: 3, kind: "failed" },
    { name: "two conflicts", faults: ["conflict", "conflict"], patches: 3, kind: "converged" },
    { name: "what is not worth repeating", faults: ["forbidden"], patches: 1, kind: "failed" },
    { name: "not understood by ARM", faults: ["invalid"], patches: 1, kind: "failed" },
  ] as const)("S48 two retries: $name → $patches requests", async ({ faults, patches, kind }) => {
    const { arm, assign } = setUp({ limits: { maxAttempts: 3 } });
    for (const fault of faults) arm.failNext("patch", { kind: fault, status: 400, code: "err1", message: "err1" });
    expect(await assign(["a"])).toMatchObject({ kind, requests: patches });
  });

  test("gives up after a few and says why", async () => {
    const { arm, assign } = setUp();
    for (let i = 0; i < 10; i += 1)
      arm.failNext("patch", { kind: "conflict", status: 409, code: "Conflict", message: "busy" });
    expect(await assign(["a"])).toMatchObject({ kind: "failed", problem: { kind: "conflict" }, requests: 6 });
  });

  test("another writer of the ledger wins, and the work is done on its version", async () => {
    const { ledgers, assign, attached } = setUp();
    let once = true;
    const save = ledgers.save.bind(ledgers);
    ledgers.save = async (group, next, version) => {
      if (once) {
        once = false;
        await save(group, { ...next, entries: {} }, version);
      }
      return save(group, next, version);
    };
    expect(await assign(["a"])).toMatchObject({ kind: "converged" });
    expect(attached()).toEqual(["a"]);
  });

  test("waits while another operation runs, at most two minutes", async () => {
    const { arm, assign, clock } = setUp();
    arm.machine(GROUP).provisioningState = "Updating";
    expect(await assign(["a"])).toMatchObject({ kind: "converged", requests: 1 });
    expect(clock.time).toBeGreaterThanOrEqual(120_000);
    expect(clock.time).toBeLessThan(126_000);
  });

  test("what it sees while it waits for another operation is told at once", async () => {
    const { arm, assign, clock } = setUp();
    arm.attach(GROUP, identity("there").id);
    arm.machine(GROUP).provisioningState = "Updating";
    const told: { at: number; requests: number; attached: string[] }[] = [];
    await assign(["a", "there"], {
      onProgress: ({ state, requests }) =>
        told.push({ at: clock.time, requests, attached: namesOf(state?.attached.keys() ?? []) }),
    });
    expect(told[0]).toEqual({ at: 0, requests: 0, attached: ["there"] });
  });
});

describe("S50 deleting", () => {
  test.for([
    {
      group: virtualMachine("vm1"),
      message: "failed to update identities for vm1 in rg, vm is in 'Deleting' provisioning state",
    },
    {
      group: scaleSet("vmss1"),
      message: "failed to update identities for vmss1 in rg, vmss is in Deleting provisioning state",
    },
  ])("S50 $group.name: no PATCH", async ({ group, message }) => {
    const { arm, assigner } = setUp();
    arm.machine(group).provisioningState = "Deleting";
    const outcome = await assigner.assign({ group, desired: () => [identity("a")], isProtected: () => false });
    expect(outcome).toMatchObject({ kind: "failed", problem: { kind: "deleting", message } });
    expect(arm.patches).toEqual([]);
  });
});

describe("refused identities", () => {
  test("S47 those that do not exist are left out, the others are attached", async () => {
    const { arm, assign, attached } = setUp();
    arm.known = new Set([identity("good").key]);
    const outcome = await assign(["bad1", "bad2", "good"]);
    expect(outcome.kind).toBe("converged");
    expect([...outcome.refused.keys()]).toEqual([identity("bad1").key, identity("bad2").key]);
    expect(attached()).toEqual(["good"]);
  });

  test("a refusal that names everybody is resolved by asking who exists", async () => {
    const directory: IdentityDirectory = {
      find: (id) =>
        Promise.resolve(id.endsWith("bad") ? undefined : { clientId: "c", principalId: "p", tenantId: "t" }),
    };
    const { arm, assign, attached } = setUp({ directory });
    const identities = ["bad", "good"].map((name) => identity(name).key);
    arm.failNext("patch", {
      kind: "identities-refused",
      status: 403,
      code: "LinkedAuthorizationFailed",
      message: "…",
      identities,
    });
    const outcome = await assign(["bad", "good"]);
    expect([...outcome.refused.keys()]).toEqual([identity("bad").key]);
    expect(attached()).toEqual(["good"]);
  });

  test("one that waits for its back-off is left alone", async () => {
    const { assign, arm } = setUp();
    expect(await assign(["a"], { skip: () => new Set([identity("a").key]) })).toMatchObject({
      kind: "converged",
      requests: 0,
    });
    expect(arm.patches).toEqual([]);
  });

  test("one that has no client id although nothing runs is reported", async () => {
    const { arm, assign } = setUp();
    arm.attach(GROUP, identity("a").id);
    const entry = arm.machine(GROUP).identities.get(identity("a").key);
    if (entry) entry.clientId = undefined;
    const outcome = await assign(["a"]);
    expect(outcome.refused.get(identity("a").key)).toMatchObject({ code: "IdentityWithoutClientId" });
  });
});
