import fc from "fast-check";
import { expect, test } from "vitest";

import { Index } from "./key-index.ts";
import { ReflectorStore } from "./reflector-store.ts";
import { silentLog } from "./transport.ts";

interface Item {
  readonly name: string;
  readonly tags: readonly string[];
}

test("equals a scan of all items after any changes", () => {
  const tag = fc.constantFrom("x", "y", "z");
  const change = fc.record({ name: fc.constantFrom("a", "b", "c"), tags: fc.option(fc.array(tag)), read: tag });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const store = new ReflectorStore<Item>(
        (object) => ({ name: object.metadata.name, tags: object["tags"] as string[] }),
        silentLog,
      );
      const index = new Index<Item>({ subscribe: (handler) => store.subscribe(handler, true) }, (item) => item.tags);
      for (const { name, tags, read } of changes) {
        if (tags) store.upsert({ metadata: { name }, tags });
        else store.remove(name);
        const scan = [...store.items.values()].filter((item) => item.tags.includes(read));
        expect(new Set(index.get(read))).toEqual(new Set(scan));
        expect(index.get(read)).toHaveLength(scan.length);
        expect([...index.keys()].sort()).toEqual(
          [...new Set([...store.items.values()].flatMap((item) => item.tags))].sort(),
        );
      }
    }),
  );
});

test("repeated reads return the same array until something changes; a closed index follows no more", () => {
  const store = new ReflectorStore<string>((object) => object.metadata.name, silentLog);
  const index = new Index<string>({ subscribe: (handler) => store.subscribe(handler, true) }, () => ["all"]);
  store.upsert({ metadata: { name: "a" } });
  expect(index.get("all")).toBe(index.get("all"));
  expect(index.get("none")).toEqual([]);
  index.close();
  store.upsert({ metadata: { name: "b" } });
  expect(index.get("all")).toEqual(["a"]);
});
