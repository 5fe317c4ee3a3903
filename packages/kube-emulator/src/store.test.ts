import fc from "fast-check";
import { expect, test } from "vitest";
import { Store } from "./store.ts";

const operation = fc.record({ key: fc.constantFrom("a/1", "a/2", "b/1", "a-b/1"), remove: fc.boolean() });

test("law: any remembered revision can be listed, and its events lead from it to the present", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const store = new Store(1000);
      const collection = store.collection("/things");
      const seen = new Map<number, Record<string, string>>();
      const present = (): Record<string, string> =>
        Object.fromEntries(collection.list().map((record) => [record.key, record.json]));
      seen.set(store.revision, present());
      for (const [index, { key, remove }] of operations.entries()) {
        const object = { metadata: { name: key }, index };
        if (!remove) store.put("/things", key, object);
        else if (collection.get(key) !== undefined) store.remove("/things", key, object);
        seen.set(store.revision, present());
      }
      for (const [revision, want] of seen) {
        const listed = collection.listAt(revision) ?? [];
        expect(Object.fromEntries(listed.map((record) => [record.key, record.json]))).toEqual(want);
        expect(listed.map((record) => record.key)).toEqual(listed.map((record) => record.key).toSorted());
        const replayed = { ...want };
        for (const event of collection.since(revision) ?? []) {
          if (event.type === "DELETED") delete replayed[event.record.key];
          else replayed[event.record.key] = event.record.json;
        }
        expect(replayed).toEqual(present());
      }
    }),
  );
});

test("a full history forgets its beginning, and compaction all of it", () => {
  const store = new Store(10);
  const collection = store.collection("/things");
  const first = store.revision;
  for (let index = 0; index < 200; index++) store.put("/things", "a", { metadata: { name: "a" }, index });
  expect(collection.since(first)).toBeUndefined();
  expect(collection.listAt(first)).toBeUndefined();
  expect(collection.since(store.revision - 5)).toHaveLength(5);
  store.compact();
  expect(collection.since(store.revision - 1)).toBeUndefined();
  expect(collection.since(store.revision)).toEqual([]);
});

test("keys are listed in etcd's order, and by prefix", () => {
  const store = new Store(10);
  for (const key of ["b/x", "a/z", "a-b/y", "a/b"]) store.put("/things", key, { metadata: { name: key } });
  const keys = (prefix?: string): string[] =>
    store
      .collection("/things")
      .list(prefix)
      .map((record) => record.key);
  expect(keys()).toEqual(["a-b/y", "a/b", "a/z", "b/x"]);
  expect(keys("a/")).toEqual(["a/b", "a/z"]);
});
