import type { ArmProblem } from "@podid/azure-assigner";
import { identityRecord, bindingRecord, podRecord } from "@podid/matcher";
import type { Assignment } from "@podid/matcher";
import { describe, expect, test } from "vitest";
import { resourceId } from "../../test/cluster.ts";
import { assignedIdentityObject } from "../assigned/object.ts";
import { assignedRecord } from "../assigned/record.ts";
import type { AssignedRecord } from "../assigned/record.ts";
import { bookkeeping } from "./bookkeeping.ts";
import type { BookkeepingInput } from "./bookkeeping.ts";
import { NEVER_SEEN } from "./observation.ts";
import type { Observation } from "./observation.ts";

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

function decide(input: Partial<BookkeepingInput>): string {
  const result = bookkeeping({
    assignments: [],
    records: [],
    observation: NEVER_SEEN,
    staysAttached: () => false,
    forceNamespaced: false,
    now: NOW,
    trustMs: 30_000,
    ...input,
  });
  const { needsArm, ...lists } = result;
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
