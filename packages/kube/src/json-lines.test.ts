import fc from "fast-check";
import { expect, test } from "vitest";

import { jsonLines } from "./json-lines.ts";

async function read(chunks: readonly Uint8Array[]): Promise<unknown[]> {
  const source = (async function* () {
    yield* chunks;
  })();
  const values: unknown[] = [];
  for await (const value of jsonLines(source)) values.push(value);
  return values;
}

test("values survive any split of their bytes, in the middle of lines and of characters", async () => {
  const cuts = fc.array(fc.nat(), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ text: fc.string({ unit: "grapheme" }), n: fc.integer() })),
      cuts,
      fc.boolean(),
      async (values, at, newline) => {
        const bytes = new TextEncoder().encode(
          values.map((value) => JSON.stringify(value)).join("\n") + (newline ? "\n" : ""),
        );
        const ends = [...at.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
        const chunks = ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
        expect(await read(chunks)).toEqual(values);
      },
    ),
  );
});

test.for([
  { name: "a line cut off", text: '{"a":1}\n{"b":' },
  { name: "a line that is no JSON", text: "<html>\n" },
  { name: "a character cut off", text: new Uint8Array([0x22, 0xe2, 0x82]) },
])("throws for $name", async ({ text }) => {
  await expect(read([typeof text === "string" ? new TextEncoder().encode(text) : text])).rejects.toThrow();
});

test("skips empty lines", async () => {
  expect(await read([new TextEncoder().encode("\n1\n \r\n2\n\n")])).toEqual([1, 2]);
});
