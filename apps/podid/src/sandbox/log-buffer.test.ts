import { expect, test } from "vitest";
import { LogBuffer } from "./log-buffer.ts";

async function texts(lines: AsyncIterable<{ text: string }>): Promise<string[]> {
  const all: string[] = [];
  for await (const { text } of lines) all.push(text);
  return all;
}

const never = new AbortController().signal;

test("lines may come in pieces, and the last one without its end", async () => {
  const log = new LogBuffer();
  log.write("a\nb");
  log.write("c\nd");
  log.flush();
  expect(await texts(log.read({ follow: false, signal: never }))).toEqual(["a", "bc", "d"]);
  expect(await texts(log.read({ tail: 1, follow: false, signal: never }))).toEqual(["d"]);
  expect(await texts(log.read({ tail: 0, follow: false, signal: never }))).toEqual([]);
});

test("following goes on until the log is closed", async () => {
  const log = new LogBuffer();
  log.write("a\n");
  const read = texts(log.read({ follow: true, signal: never }));
  log.write("b\n");
  await Promise.resolve();
  log.write("c");
  log.close();
  expect(await read).toEqual(["a", "b", "c"]);
  expect(await texts(log.read({ follow: true, signal: never }))).toEqual(["a", "b", "c"]);
});

test("following ends with its reader", async () => {
  const log = new LogBuffer();
  const reader = new AbortController();
  const read = texts(log.read({ follow: true, signal: reader.signal }));
  await Promise.resolve();
  reader.abort();
  expect(await read).toEqual([]);
});
