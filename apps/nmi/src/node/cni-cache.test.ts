import { mkdir, mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@podid/imds-proxy";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CniCache } from "./cni-cache.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
let parent: string;
let directory: string;
let left: string[];
let cache: CniCache;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "cni-"));
  directory = join(parent, "results");
  left = [];
  cache = new CniCache({ directory, clock: systemClock, log: silent, changed: (gone) => left.push(...gone) });
});
afterEach(async () => {
  await cache.stop();
  await rm(parent, { recursive: true });
});

async function add(name: string, uid: string, address = "10.0.0.5", at?: number): Promise<void> {
  const entry = {
    kind: "cniCacheV1",
    cniArgs: [["K8S_POD_UID", uid]],
    result: { ips: [{ address: `${address}/24` }] },
  };
  await writeFile(join(parent, name), JSON.stringify(entry));
  if (at !== undefined) await utimes(join(parent, name), at, at);
  await rename(join(parent, name), join(directory, name));
}

test("an absent directory says nothing, and is found when it comes", async () => {
  await cache.start();
  expect(cache.podOf("10.0.0.5")).toBeUndefined();
  await mkdir(directory);
  await add("a", "uid-p");
  await cache.scan();
  expect(cache.podOf("10.0.0.5")).toEqual({ uids: ["uid-p"] });
});

test("ADD and DEL are seen as they happen, without being asked to look", async () => {
  await mkdir(directory);
  await add("a", "uid-p", "10.0.0.9");
  await cache.start();
  await add("b", "uid-q");
  await expect.poll(() => cache.podOf("10.0.0.5")).toEqual({ uids: ["uid-q"] });
  expect(left).toEqual([]);
  await rm(join(directory, "b"));
  await expect.poll(() => cache.podOf("10.0.0.5")).toEqual({ uids: [] });
  expect(left).toEqual(["10.0.0.5"]);
  expect(cache.podOf("10.0.0.9")).toEqual({ uids: ["uid-p"] });
});

test("of two entries for one address the newer one counts: the other's removal has failed", async () => {
  await mkdir(directory);
  await add("new", "uid-q", "10.0.0.5", 2_000);
  await add("old", "uid-p", "10.0.0.5", 1_000);
  await cache.start();
  expect(cache.podOf("10.0.0.5")).toEqual({ uids: ["uid-q"] });
});

test("equally old ones are both named", async () => {
  await mkdir(directory);
  await add("one", "uid-p", "10.0.0.5", 1_000);
  await add("two", "uid-q", "10.0.0.5", 1_000);
  await cache.start();
  expect(cache.podOf("10.0.0.5")?.uids.toSorted()).toEqual(["uid-p", "uid-q"]);
});

test("a file that was half written counts when it is whole", async () => {
  await mkdir(directory);
  await writeFile(join(directory, "a"), '{"kind":"cniCacheV1"');
  await cache.start();
  expect(cache.podOf("10.0.0.5")).toBeUndefined();
  await add("a", "uid-p");
  await expect.poll(() => cache.podOf("10.0.0.5")).toEqual({ uids: ["uid-p"] });
});
