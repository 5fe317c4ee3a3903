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
