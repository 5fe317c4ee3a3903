import { expect, test } from "vitest";
import { AssignedMirror } from "./mirror.ts";
import { assignedRecord } from "./record.ts";
import type { AssignedRecord } from "./record.ts";

function object(resourceVersion: string, more: { uid?: string; node?: string; status?: string } = {}) {
  const { uid = "u1", node = "n1", status = "Created" } = more;
  return {
    metadata: { namespace: "default", name: "x", uid, resourceVersion },
    spec: { nodename: node },
    status: { status },
  };
}

function record(...args: Parameters<typeof object>): AssignedRecord {
  const made = assignedRecord(object(...args));
  if (made === undefined) throw new Error("fixture");
  return made;
}

test("our own write shows at once; older news from the watch does not undo it; its echo is no news", () => {
  const mirror = new AssignedMirror();
  expect(mirror.shown(record("9"))).toEqual(["n1"]);
  mirror.written(object("11", { status: "Assigned" }));
  expect(mirror.shown(record("10"))).toEqual([]);
  expect(mirror.get("default/x")?.status).toBe("Assigned");
  expect(mirror.shown(record("11", { status: "Assigned" }))).toEqual([]);
  expect(mirror.shown(record("12", { status: "Unassigned" }))).toEqual(["n1"]);
  expect(mirror.get("default/x")?.status).toBe("Unassigned");
});

test("an answer that is older than what the watch has shown is ignored", () => {
  const mirror = new AssignedMirror();
  mirror.shown(record("20", { status: "Unassigned" }));
  mirror.written(object("19", { status: "Assigned" }));
  expect(mirror.get("default/x")?.status).toBe("Unassigned");
});

test("what we removed stays away until the watch tells of another object of that name", () => {
  const mirror = new AssignedMirror();
  mirror.shown(record("5"));
  mirror.removed(record("5"));
  expect(mirror.shown(record("6"))).toEqual([]);
  expect(mirror.onNode("n1")).toEqual([]);
  mirror.shown(record("7", { uid: "u2" }));
  expect(mirror.get("default/x")?.uid).toBe("u2");
  mirror.removed(record("5"));
  expect(mirror.onNode("n1")).toHaveLength(1);
});

test("a late farewell to the predecessor leaves the successor alone", () => {
  const mirror = new AssignedMirror();
  mirror.shown(record("5"));
  mirror.written(object("9", { uid: "u2" }));
  expect(mirror.gone(record("8"))).toEqual([]);
  expect(mirror.get("default/x")?.uid).toBe("u2");
});

test("both nodes hear of a move", () => {
  const mirror = new AssignedMirror();
  mirror.shown(record("5"));
  expect(mirror.shown(record("6", { node: "n2" }))).toEqual(["n1", "n2"]);
  expect([mirror.onNode("n1").length, mirror.onNode("n2").length]).toEqual([0, 1]);
  expect([...mirror.nodes()]).toEqual(["n2"]);
});

test("what many objects have in common is held once, by our own writes too", () => {
  const mirror = new AssignedMirror();
  const of = (name: string, version: string): AssignedRecord | undefined => {
    const { metadata, ...rest } = object(version, { uid: name });
    const copy = { metadata: { namespace: "default", name: "id" }, spec: { clientID: "c", resourceID: "r" } };
    return mirror.read(
      JSON.parse(
        JSON.stringify({
          ...rest,
          metadata: { ...metadata, name, finalizers: ["f"] },
          spec: { ...rest.spec, azureIdentityRef: copy, azureBindingRef: copy },
        }),
      ),
    );
  };
  const [a, b] = [of("a", "1"), of("b", "2")];
  // Texts that are equal cannot be told apart; that the objects are the same ones can.
  expect([b?.identity === a?.identity, b?.binding === a?.binding, b?.finalizers === a?.finalizers]).toEqual([
    true,
    true,
    true,
  ]);
});

test("after the echo of our own write the record is the one that the cache holds", () => {
  const mirror = new AssignedMirror();
  mirror.written(object("11"));
  const echo = record("11");
  expect(mirror.shown(echo)).toEqual([]);
  expect(mirror.get("default/x")).toBe(echo);
  expect(mirror.onNode("n1")).toEqual([echo]);
});
