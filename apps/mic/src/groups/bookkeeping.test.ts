import type { ArmProblem } from "@podid/azure-assigner";
import { identityRecord, bindingRecord, podRecord } from "@podid/matcher";
import type { Assignment } from "@podid/matcher";
import { describe, expect, test } from "vitest";
import { resourceId } from "../../test/cluster.ts";
import { assignedIdentityObject } from "../assigned/object.ts";
import { assignedRecord } from "../assigned/record.ts";
import type { AssignedRecord } from "../assigned/record.ts";
import { bookkeeping } from "./bookkeeping.ts";
import type { Bookkeeping, BookkeepingInput } from "./bookkeeping.ts";
import { NEVER_SEEN } from "./observation.ts";
import type { Observation } from "./observation.ts";
import type { Reservation } from "./pre-assignments.ts";

const NOW = Date.UTC(2026, 0, 1);
const KEY = resourceId("x").toLowerCase();
const REFUSED: ArmProblem = {
  kind: "identities-refused",
  status: 400,
  code: "FailedIdentityOperation",
  message: "no",
  identities: [KEY],
};

function assignment(spec: object = {}): Assignment {
  const meta = { namespace: "default", uid: "u", resourceVersion: "1" };
  const pod = podRecord({
    metadata: {
      ...meta,
      name: "pod",
      uid: "pod-uid",
      creationTimestamp: new Date(NOW).toISOString(),
      labels: { aadpodidbinding: "s" },
    },
    spec: { nodeName: "n" },
  });
  const identity = identityRecord({
    metadata: { ...meta, name: "id" },
    spec: { type: 0, resourceID: resourceId("x"), clientID: "c", ...spec },
  });
  const binding = bindingRecord({ metadata: { ...meta, name: "b" }, spec: { azureIdentity: "id", selector: "s" } });
  if (!pod || !identity || !binding) throw new Error("fixture");
  return { key: "k", pod, identity, binding };
}

function record(status: string, more: Partial<AssignedRecord> = {}): AssignedRecord {
  const object = assignedIdentityObject(assignment(), "default", () => false);
  const made = assignedRecord({
    ...object,
    metadata: { ...object.metadata, uid: "o", resourceVersion: "1" },
    status: { status },
  });
  if (!made) throw new Error("fixture");
  return { ...made, ...more };
}

const seen = (more: Partial<Observation> = {}): Observation => ({ ...NEVER_SEEN, seenAt: NOW, ...more });
const attached = { attached: new Map([[KEY, { key: KEY, id: KEY, clientId: "c" }]]) };
const ours = { ...attached, owned: new Set([KEY]) };

function look(input: Partial<BookkeepingInput>): Bookkeeping {
  return bookkeeping({
    assignments: [],
    records: [],
    observation: NEVER_SEEN,
    staysAttached: () => false,
    forceNamespaced: false,
    now: NOW,
    trustMs: 30_000,
    ...input,
  });
}

function decide(input: Partial<BookkeepingInput>): string {
  const { needsArm, standings: _standings, reservations: _reservations, ...lists } = look(input);
  return (
    [
      ...Object.entries(lists)
        .filter(([, list]) => list.length > 0)
        .map(([name]) => name),
      ...(needsArm ? ["ARM"] : []),
    ].join(", ") || "nothing"
  );
}

const wanted = [assignment()];

describe("a pod is entitled", () => {
  test.for([
    { name: "no object", records: [], observation: seen(ours), want: "create" },
    { name: "Created, never looked", records: [record("Created")], observation: NEVER_SEEN, want: "ARM" },
    { name: "Created and attached", records: [record("Created")], observation: seen(attached), want: "assign" },
    { name: "without status and attached", records: [record("")], observation: seen(attached), want: "assign" },
    {
      name: "Created, attached when last seen long ago",
      records: [record("Created")],
      observation: seen({ ...attached, seenAt: NOW - 30_001 }),
      want: "ARM",
    },
    {
      name: "Created, attached without a client id",
      records: [record("Created")],
      observation: seen({ attached: new Map([[KEY, { key: KEY, id: KEY }]]) }),
      want: "ARM",
    },
    {
      name: "Created and refused lately",
      records: [record("Created")],
      observation: seen({ refused: new Map([[KEY, { problem: REFUSED, attempts: 1, until: NOW + 1 }]]) }),
      want: "fail",
    },
    {
      name: "Created and refused long ago",
      records: [record("Created")],
      observation: seen({ refused: new Map([[KEY, { problem: REFUSED, attempts: 1, until: NOW }]]) }),
      want: "ARM",
    },
    {
      name: "Created and the machine is blocked",
      records: [record("Created")],
      observation: seen({ blocked: { problem: REFUSED, attempts: 1, until: NOW + 1 } }),
      want: "fail",
    },
    { name: "Assigned and attached", records: [record("Assigned")], observation: seen(ours), want: "nothing" },
    { name: "Assigned, never looked", records: [record("Assigned")], observation: NEVER_SEEN, want: "nothing" },
    { name: "Assigned and taken away", records: [record("Assigned")], observation: seen(), want: "ARM" },
    {
      name: "Assigned, taken away and refused lately",
      records: [record("Assigned")],
      observation: seen({ refused: new Map([[KEY, { problem: REFUSED, attempts: 1, until: NOW + 1 }]]) }),
      want: "nothing",
    },
    { name: "Unassigned", records: [record("Unassigned")], observation: seen(), want: "rewrite" },
    { name: "terminating", records: [record("Assigned", { deleting: true })], observation: seen(ours), want: "remove" },
    {
      name: "terminating, held by another's finalizer",
      records: [record("Assigned", { deleting: true, finalizers: ["other"] })],
      observation: seen(ours),
      want: "nothing",
    },
    {
      name: "says another identity spec",
      records: [record("Assigned", { identityFingerprint: "old" })],
      observation: seen(ours),
      want: "rewrite",
    },
    {
      name: "another resource version of the same",
      records: [record("Assigned", { resourceVersion: "9" })],
      observation: seen(ours),
      want: "nothing",
    },
    {
      name: "of a former pod of that name",
      records: [record("Assigned", { podUid: "former" })],
      observation: seen(ours),
      want: "create, remove",
    },
    {
      name: "upstream's, younger than the pod",
      records: [record("Assigned", { podUid: undefined, createdAt: NOW })],
      observation: seen(ours),
      want: "nothing",
    },
    {
      name: "upstream's, older than the pod",
      records: [record("Assigned", { podUid: undefined, createdAt: NOW - 1000 })],
      observation: seen(ours),
      want: "create, remove",
    },
    {
      name: "two objects",
      records: [record("Created", { key: "default/a" }), record("Assigned", { key: "default/b" })],
      observation: seen(ours),
      want: "remove",
    },
    {
      name: "on a node that is no Azure machine",
      records: [record("Created")],
      observation: NEVER_SEEN,
      unattachable: "kind://",
      want: "fail",
    },
  ])("$name → $want", ({ want, name: _name, ...input }) => {
    expect(decide({ assignments: wanted, ...input })).toBe(want);
  });

  test("a service principal needs no ARM", () => {
    const sp = assignment({ type: 1, resourceID: undefined });
    const object = assignedIdentityObject(sp, "default", () => false);
    const made = assignedRecord({ ...object, metadata: { ...object.metadata, uid: "o" } });
    expect(decide({ assignments: [sp], records: made ? [made] : [] })).toBe("assign");
  });
});

describe("nobody is entitled any more", () => {
  test.for([
    { name: "Assigned and ours", records: [record("Assigned")], observation: seen(ours), want: "unassign, ARM" },
    { name: "Assigned, never looked", records: [record("Assigned")], observation: NEVER_SEEN, want: "unassign, ARM" },
    { name: "Assigned and not ours", records: [record("Assigned")], observation: seen(attached), want: "remove" },
    { name: "Unassigned and still attached", records: [record("Unassigned")], observation: seen(ours), want: "ARM" },
    { name: "Unassigned and detached", records: [record("Unassigned")], observation: seen(), want: "remove" },
    {
      name: "Assigned, ours and protected",
      records: [record("Assigned")],
      observation: seen(ours),
      staysAttached: () => true,
      want: "remove",
    },
    {
      name: "on a node that is gone",
      records: [record("Assigned")],
      observation: NEVER_SEEN,
      unattachable: "gone",
      want: "remove",
    },
    { name: "no object, but ours and attached", records: [], observation: seen(ours), want: "ARM" },
    {
      name: "no object, ours, attached, machine blocked",
      records: [],
      observation: seen({ ...ours, blocked: { problem: REFUSED, attempts: 1, until: NOW + 1 } }),
      want: "nothing",
    },
    { name: "no object, ours, detached", records: [], observation: seen({ owned: new Set([KEY]) }), want: "nothing" },
  ])("$name → $want", ({ want, name: _name, ...input }) => {
    expect(decide(input)).toBe(want);
  });

  test("shared with another pod: removed without ARM", () => {
    const other = { ...assignment(), key: "other", pod: { ...assignment().pod, uid: "other", name: "other" } };
    expect(decide({ assignments: [other], records: [record("Assigned")], observation: seen(ours) })).toBe(
      "create, remove",
    );
  });
});

function reservation(): Reservation {
  const { binding, identity } = assignment();
  return { binding: { ...binding, preAssign: ["*"] }, identity, ref: { key: KEY, id: KEY } };
}

describe("held before any pod needs it", () => {
  const reservations = [reservation()];
  const refused = seen({ refused: new Map([[KEY, { problem: REFUSED, attempts: 1, until: NOW + 1 }]]) });
  const old = seen({ ...ours, seenAt: NOW - 3_600_000 });

  test.for([
    { name: "never looked", observation: NEVER_SEEN, want: "ARM" },
    { name: "not attached", observation: seen(), want: "ARM" },
    { name: "refused lately", observation: refused, want: "nothing" },
    { name: "attached", observation: seen(ours), want: "nothing" },
    { name: "its last pod went", observation: seen(ours), records: [record("Assigned")], want: "remove" },
    {
      name: "attached without a client id",
      observation: seen({ attached: new Map([[KEY, { key: KEY, id: KEY }]]) }),
      want: "ARM",
    },
  ])("$name → $want", ({ want, name: _name, ...input }) => {
    expect(decide({ reservations, ...input })).toBe(want);
  });

  test("a pod that comes waits for no look, which is made up for afterwards", () => {
    const input = { assignments: wanted, records: [record("Created")], observation: old };
    expect(decide({ ...input, reservations })).toBe("assign, ARM");
    expect(decide(input)).toBe("ARM");
  });

  test.for([
    { observation: seen(), want: "pending" },
    { observation: seen(ours), want: "assigned" },
    { observation: refused, want: "failed RefusedByAzure" },
  ])("stands as $want", ({ observation, want }) => {
    const told = look({ reservations, observation }).reservations.map(({ state, failure }) =>
      failure === undefined ? state : `${state} ${failure.reason}`,
    );
    expect(told).toEqual([want]);
  });
});

describe("what lingers counts as needed", () => {
  const lingering = new Set([KEY]);
  test.for([
    { name: "nobody needs it", observation: seen(ours), want: "nothing" },
    { name: "its pod has just gone", observation: seen(ours), records: [record("Assigned")], want: "remove" },
    { name: "nobody has looked yet", observation: NEVER_SEEN, records: [record("Assigned")], want: "unassign, ARM" },
  ])("$name → $want", ({ want, name: _name, ...input }) => {
    expect(decide({ lingering, ...input })).toBe(want);
  });
});

describe("how far an assignment has come", () => {
  const refusal = { refused: new Map([[KEY, { problem: REFUSED, attempts: 1, until: NOW + 1 }]]) };
  test.for([
    { name: "no object", records: [], observation: seen(), want: "pending" },
    { name: "Created", records: [record("Created")], observation: seen(), want: "pending" },
    {
      name: "Created and refused",
      records: [record("Created")],
      observation: seen(refusal),
      want: "failed RefusedByAzure",
    },
    {
      name: "no Azure machine",
      records: [record("Created")],
      unattachable: "no providerID",
      want: "failed NodeNotAttachable",
    },
    { name: "Assigned", records: [record("Assigned")], observation: NEVER_SEEN, want: "assigned" },
    {
      name: "Assigned, lost, refused",
      records: [record("Assigned")],
      observation: seen(refusal),
      want: "failed RefusedByAzure",
    },
    {
      name: "says otherwise",
      records: [record("Assigned", { identityFingerprint: "other", specDigest: "other" })],
      want: "pending",
    },
    {
      name: "another binding",
      records: [record("Assigned", { binding: { namespace: "a", name: "b", uid: "c" } })],
      want: "assigned",
    },
    { name: "terminating", records: [record("Assigned", { deleting: true })], want: "pending" },
  ])("$name: $want", ({ want, name: _name, ...input }) => {
    const told = look({ assignments: wanted, ...input }).standings.map(({ state, failure }) =>
      failure === undefined ? state : `${state} ${failure.reason}`,
    );
    expect(told).toEqual([want]);
  });
});

test("a copy from which the CRD dropped fields that only podid has is not written again", () => {
  const narrowed = assignment({ serviceAccounts: ["builder"] });
  const object = assignedIdentityObject(narrowed, "default", () => false);
  const { serviceAccounts: _, ...upstreams } = narrowed.identity.spec;
  const stored = (spec: object): AssignedRecord[] => {
    const identityRef = { ...object.spec.azureIdentityRef, spec };
    const made = assignedRecord({
      ...object,
      metadata: { ...object.metadata, uid: "o" },
      spec: { ...object.spec, azureIdentityRef: identityRef },
      status: { status: "Assigned" },
    });
    return made ? [made] : [];
  };
  expect(decide({ assignments: [narrowed], records: stored(upstreams), observation: seen(ours) })).toBe("nothing");
  const edited = stored({ ...upstreams, clientID: "somebody else" });
  expect(decide({ assignments: [narrowed], records: edited, observation: seen(ours) })).toBe("rewrite");
  const wider = assignment({ serviceAccounts: ["builder", "deployer"] });
  expect(decide({ assignments: [wider], records: stored(upstreams), observation: seen(ours) })).toBe("rewrite");
});
