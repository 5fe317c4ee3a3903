import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { computeState } from "./compute-state.ts";
import type { ComputeState } from "./compute-state.ts";
import { identityKind, hasSystemAssigned } from "./identity-type.ts";
import { adopt, emptyLedger, recordIntent, recordResult, settle } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import { plan } from "./plan.ts";
import type { IdentityPatch } from "./plan.ts";
import { identity, virtualMachine } from "./testing/fixtures.ts";

const GROUP = virtualMachine("node");

function machine(type: string, names: readonly string[], casing = (id: string): string => id): ComputeState {
  return computeState(GROUP, {
    identity: {
      type,
      userAssignedIdentities: Object.fromEntries(
        names.map((name) => [casing(identity(name).id), { clientId: `client-${name}` }]),
      ),
    },
  });
}

function owning(state: ComputeState, names: readonly string[]): Ledger {
  return adopt(
    emptyLedger(GROUP),
    state,
    names.map((name) => identity(name).key),
  );
}

function merge(state: ComputeState, patch: IdentityPatch): ComputeState {
  const map: Record<string, { clientId: string }> = {};
  for (const { id, clientId } of state.attached.values()) map[id] = { clientId: clientId ?? "" };
  for (const [id, value] of Object.entries(patch.userAssignedIdentities ?? {})) {
    const known = Object.keys(map).find((other) => other.toLowerCase() === id.toLowerCase());
    if (value === null && known !== undefined) delete map[known];
    else if (value !== null) map[known ?? id] = { clientId: "c" };
  }
  return computeState(GROUP, {
    identity: { type: patch.type, userAssignedIdentities: patch.type.includes("UserAssigned") ? map : {} },
  });
}

const nobody = (): boolean => false;

test.for([
  { type: undefined, want: "UserAssigned" },
  { type: "None", want: "UserAssigned" },
  { type: "UserAssigned", want: "UserAssigned" },
  { type: "SystemAssigned", want: "SystemAssigned, UserAssigned" },
  { type: "SystemAssigned, UserAssigned", want: "SystemAssigned, UserAssigned" },
  { type: "systemassigned,userassigned", want: "SystemAssigned, UserAssigned" },
])("S41 GetUpdatedResourceIdentityType $type → $want", ({ type, want }) => {
  expect(identityKind(hasSystemAssigned(type), 1)).toBe(want);
});

describe("S42 UpdateUserMSI", () => {
  test.for([
    {
      name: "two are added",
      has: [],
      owned: [],
      desired: ["id0", "id0again"],
      adds: ["id0", "id0again"],
      removes: [],
      type: "UserAssigned",
    },
    {
      name: "one of two goes",
      has: ["id0", "id0again"],
      owned: ["id0", "id0again"],
      desired: ["id0again"],
      adds: [],
      removes: ["id0"],
      type: "UserAssigned",
    },
    { name: "the sole one goes", has: ["id2"], owned: ["id2"], desired: [], adds: [], removes: ["id2"], type: "None" },
    {
      name: "three come, one goes",
      has: ["id0again"],
      owned: ["id0again"],
      desired: ["id1", "id2", "id3"],
      adds: ["id1", "id2", "id3"],
      removes: ["id0again"],
      type: "UserAssigned",
    },
    {
      name: "one more beside a foreign one",
      has: ["id4"],
      owned: [],
      desired: ["id3"],
      adds: ["id3"],
      removes: [],
      type: "UserAssigned",
    },
  ])("S42 $name", ({ has, owned, desired, adds, removes, type }) => {
    const current = machine(has.length > 0 ? "UserAssigned" : "None", has);
    const { requests } = plan({
      current,
      desired: desired.map(identity),
      ledger: owning(current, owned),
      isProtected: nobody,
    });
    expect(requests).toHaveLength(1);
    expect(requests[0]?.patch).toEqual({
      type,
      ...(type !== "None" && {
        userAssignedIdentities: Object.fromEntries([
          ...adds.map((name) => [identity(name).key, {}]),
          ...removes.map((name) => [identity(name).id, null]),
        ]),
      }),
    });
  });

  test.for([
    { name: "nothing to do", has: ["id3", "id4"], desired: ["id3", "id4"] },
    { name: "the same in another casing", has: ["ID3"], desired: ["id3"] },
    { name: "nothing at all", has: [], desired: [] },
  ])("S42 no request: $name", ({ has, desired }) => {
    const current = machine("UserAssigned", has);
    expect(
      plan({ current, desired: desired.map(identity), ledger: owning(current, has), isProtected: nobody }).requests,
    ).toEqual([]);
  });
});

test.for([
  { name: "the same", current: { "node-0": ["id-0"] }, desired: { "node-0": ["id-0"] }, want: {} },
  {
    name: "one is missing on each",
    current: { "node-1": ["id-1"] },
    desired: { "node-0": ["id-0"], "node-1": ["id-0", "id-1"] },
    want: { "node-0": ["id-0"], "node-1": ["id-0"] },
  },
  { name: "nothing is there", current: {}, desired: { "node-0": ["id-0"] }, want: { "node-0": ["id-0"] } },
  { name: "nothing is wanted", current: { "node-0": ["id-0"] }, desired: {}, want: {} },
] as { name: string; current: Record<string, string[]>; desired: Record<string, string[]>; want: object }[])(
  "S38 GenerateIdentityAssignmentDiff: $name",
  ({ current, desired, want }) => {
    const diff: Record<string, string[]> = {};
    for (const node of new Set([...Object.keys(current), ...Object.keys(desired)])) {
      const { attach, detach } = plan({
        current: machine("UserAssigned", current[node] ?? []),
        desired: (desired[node] ?? []).map(identity),
        ledger: emptyLedger(GROUP),
        isProtected: nobody,
      });
      expect(detach).toEqual([]);
      if (attach.length > 0) diff[node] = attach.map(({ id }) => id.slice(id.lastIndexOf("/") + 1));
    }
    expect(diff).toEqual(want);
  },
);

test.for([
  { count: 2, sizes: [2] },
  { count: 150, sizes: [150] },
  { count: 200, sizes: [150, 50] },
  { count: 301, sizes: [150, 150, 1] },
])("S44 $count identities go in requests of $sizes", ({ count, sizes }) => {
  const names = Array.from({ length: count }, (_, index) => `id${index}`);
  const { requests } = plan({
    current: machine("None", []),
    desired: names.map(identity),
    ledger: emptyLedger(GROUP),
    isProtected: nobody,
  });
  const keys = requests.map(({ patch }) => Object.keys(patch.userAssignedIdentities ?? {}));
  expect(keys.map(({ length }) => length)).toEqual(sizes);
  expect(new Set(keys.flat()).size).toBe(count);
});

test("S39 the last user-assigned identity goes and the system-assigned one stays", () => {
  const current = machine("SystemAssigned, UserAssigned", ["id0"]);
  const [request] = plan({ current, desired: [], ledger: owning(current, ["id0"]), isProtected: nobody }).requests;
  expect(request?.patch).toEqual({ type: "SystemAssigned" });
});

test("L-57 an identity that somebody removed by hand causes no request", () => {
  const before = machine("SystemAssigned, UserAssigned", ["id0"]);
  const current = machine("SystemAssigned", []);
  const ledger = settle(owning(before, ["id0"]), current, 0);
  expect(plan({ current, desired: [], ledger, isProtected: nobody }).requests).toEqual([]);
});

describe("an identity in the middle of a detach is needed again", () => {
  const detaching = (etag: string | undefined) => {
    const current = { ...machine("UserAssigned", ["id0"]), ...(etag !== undefined && { etag }) };
    const ledger = recordIntent(owning(current, ["id0"]), { attach: [], detach: [identity("id0")] }, 1000, etag);
    const requests = (now: number, state: ComputeState = current, from = ledger) =>
      plan({ current: state, desired: [identity("id0")], ledger: settle(from, state, now), isProtected: nobody })
        .requests;
    return { current, ledger, requests };
  };

  test("it is attached again, so that the late detach meets another etag", () => {
    const { current, ledger, requests } = detaching("1");
    expect([requests(999).length, requests(1000).length]).toEqual([1, 0]);
    const request = { attach: [identity("id0")], detach: [] };
    const intent = recordIntent(ledger, request, 2000, "1");
    expect(intent.entries[identity("id0").key]).toMatchObject({ state: "detaching", etag: "1" });
    const done = recordResult(intent, request, { ...current, etag: "2" });
    expect(done.entries[identity("id0").key]).toMatchObject({ state: "attached" });
  });

  test("if that changed no etag, it is not repeated: only time helps", () => {
    const { current, ledger, requests } = detaching("1");
    const done = recordResult(ledger, { attach: [identity("id0")], detach: [] }, current);
    expect([requests(999, current, done).length, done.entries[identity("id0").key]?.state]).toEqual([0, "detaching"]);
    expect(settle(done, current, 1000).entries[identity("id0").key]?.state).toBe("attached");
  });

  test("without etags nothing is asked: only time helps", () => {
    expect(detaching(undefined).requests(999)).toEqual([]);
  });
});

describe("evicted", () => {
  test.for([
    { name: "ours", owned: ["id0"], shielded: false, want: { [identity("id0").id]: null } },
    { name: "somebody else's", owned: [], shielded: false, want: undefined },
    { name: "protected", owned: ["id0"], shielded: true, want: undefined },
  ])("$name, although needed", ({ owned, shielded, want }) => {
    const current = machine("SystemAssigned, UserAssigned", ["id0", "id1"]);
    const [request] = plan({
      current,
      desired: [identity("id0")],
      ledger: owning(current, owned),
      isProtected: () => shielded,
      evict: new Set([identity("id0").key]),
    }).requests;
    expect(request?.patch.userAssignedIdentities).toEqual(want);
  });
});

describe("laws", () => {
  const names = fc.uniqueArray(
    fc.integer({ min: 0, max: 30 }).map((n) => `id${n}`),
    { maxLength: 20 },
  );
  const world = fc.record({
    system: fc.boolean(),
    present: names,
    ownedNames: names,
    desired: names,
    protectedNames: names,
    maxEntries: fc.integer({ min: 1, max: 6 }),
    upper: fc.boolean(),
  });

  test("plan then apply reaches the desired state, planning again is empty, nothing foreign, protected or system-assigned is lost", () => {
    fc.assert(
      fc.property(world, ({ system, present, ownedNames, desired, protectedNames, maxEntries, upper }) => {
        const start = machine(
          identityKind(system, present.length),
          present,
          upper ? (id) => id.toUpperCase() : undefined,
        );
        let ledger = owning(start, ownedNames);
        const shielded = new Set(protectedNames.map((name) => identity(name).key));
        const input = {
          desired: desired.map(identity),
          isProtected: ({ key }: { key: string }) => shielded.has(key),
          maxEntries,
        };
        const { requests } = plan({ ...input, current: start, ledger });
        let state = start;
        for (const request of requests) {
          expect(Object.keys(request.patch.userAssignedIdentities ?? {}).length).toBeLessThanOrEqual(maxEntries);
          ledger = recordIntent(ledger, request, 0);
          state = merge(state, request.patch);
          ledger = recordResult(ledger, request, state);
          expect(state.systemAssigned).toBe(system);
        }
        const owned = new Set(ownedNames.map((name) => identity(name).key));
        const want = new Set(desired.map((name) => identity(name).key));
        for (const key of want) expect(state.attached.has(key)).toBe(true);
        for (const key of start.attached.keys()) {
          const leaves = !want.has(key) && owned.has(key) && !shielded.has(key);
          expect(state.attached.has(key)).toBe(!leaves);
        }
        expect(plan({ ...input, current: state, ledger: settle(ledger, state, 1) }).requests).toEqual([]);
      }),
    );
  });

  test("the requests are disjoint and complete", () => {
    fc.assert(
      fc.property(world, ({ present, ownedNames, desired, maxEntries }) => {
        const current = machine("UserAssigned", present);
        const result = plan({
          current,
          desired: desired.map(identity),
          ledger: owning(current, ownedNames),
          isProtected: nobody,
          maxEntries,
        });
        const keys = result.requests.flatMap(({ attach, detach }) => [...attach, ...detach].map(({ key }) => key));
        expect(keys.length).toBe(new Set(keys).size);
        expect(keys).toEqual([...result.attach, ...result.detach].map(({ key }) => key));
      }),
    );
  });
});
