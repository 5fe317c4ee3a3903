import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MeetingPoint } from "./meeting-point.ts";

let parent: string;
let directory: string;
let point: MeetingPoint;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "meeting-"));
  directory = join(parent, "state");
  point = new MeetingPoint({ directory, timeoutMs: 300 });
});
afterEach(async () => {
  point.close();
  await rm(parent, { recursive: true });
});

const nothing = (): Promise<object> => Promise.resolve({});

test("only its owner may enter, whatever the directory was like before", async () => {
  await mkdir(directory, { mode: 0o777 });
  await point.open(nothing, () => undefined);
  const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
  expect([await mode(directory), await mode(join(directory, "nmi.sock"))]).toEqual([0o700, 0o600]);
});

test("a socket that a killed process left behind is replaced", async () => {
  await mkdir(directory);
  await writeFile(join(directory, "nmi.sock"), "");
  await point.open(nothing, () => undefined);
  expect((await point.visit()).inheritance).toEqual({ tokens: undefined });
});

test("the answer holds what is inherited, of any size, and the connection tells when the successor is gone", async () => {
  let left = 0;
  const tokens = { all: "x".repeat(3_000_000) };
  await point.open(
    () => Promise.resolve({ tokens }),
    () => void left++,
  );
  const { inheritance, connection } = await point.visit();
  expect(inheritance).toEqual({ tokens });
  expect(left).toBe(0);
  connection.destroy();
  await expect.poll(() => left).toBe(1);
  await expect(point.visit()).rejects.toThrow();
});

test.for([
  ["another question", "GET / HTTP/1.1\r\n\r\n"],
  ["another version", '{"kind":"take-over","version":2}\n'],
  ["nothing, until the time is over", ""],
] as const)("%s changes nothing", async ([, text]) => {
  let asked = 0;
  await point.open(
    () => {
      asked++;
      return nothing();
    },
    () => undefined,
  );
  const socket = connect(join(directory, "nmi.sock"));
  socket.write(text);
  await new Promise((resolve) => socket.once("close", resolve));
  expect(asked).toBe(0);
  await point.visit();
  expect(asked).toBe(1);
});

test("who does not answer in time is given up", async () => {
  await point.open(
    () => new Promise(() => undefined),
    () => undefined,
  );
  await expect(point.visit()).rejects.toThrow("does not answer");
});

test("nobody there is an error", async () => {
  await expect(point.visit()).rejects.toThrow(/ENOENT/);
});
