import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@podid/kube";
import { FakeClock } from "@podid/kube/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileWatch } from "./file-watch.ts";

let folder: string;
let changes: number;
const watches: FileWatch[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "file-watch-"));
  changes = 0;
});
afterEach(async () => {
  for (const watch of watches.splice(0)) watch.close();
  await rm(folder, { recursive: true });
});

function watch(...paths: readonly string[]): void {
  watches.push(new FileWatch({ paths, clock: systemClock, onChange: () => (changes += 1) }));
}

/** As kubelet writes a Secret: `azure.json` leads through `..data` to a folder that is made anew each time. */
async function secretVolume(version: string, text: string): Promise<void> {
  await mkdir(join(folder, version));
  await writeFile(join(folder, version, "azure.json"), text);
  await symlink(version, join(folder, "..data_tmp"));
  await rename(join(folder, "..data_tmp"), join(folder, "..data"));
}

describe("S51 a file that changes", () => {
  test("written in place: told after the change and not before", async () => {
    const path = join(folder, "azure.json");
    await writeFile(path, "1");
    watch(path);
    expect(changes).toBe(0);
    await writeFile(path, "2");
    await expect.poll(() => changes).toBe(1);
    await writeFile(path, "3");
    await expect.poll(() => changes).toBe(2);
  });

  test("replaced by a rename, again and again", async () => {
    const path = join(folder, "azure.json");
    await writeFile(path, "1");
    watch(path);
    for (const round of [1, 2, 3]) {
      await writeFile(join(folder, "new"), `after ${round}`);
      await rename(join(folder, "new"), path);
      await expect.poll(() => changes).toBe(round);
    }
  });

  test("behind a swapped symbolic link, as a Secret's volume, again and again", async () => {
    await secretVolume("..v0", "0");
    await symlink("..data/azure.json", join(folder, "azure.json"));
    watch(join(folder, "azure.json"));
    for (const round of [1, 2, 3]) {
      await secretVolume(`..v${round}`, `after ${round}`);
      await expect.poll(() => changes).toBe(round);
    }
  });

  test("in the folder that a link leads to", async () => {
    await mkdir(join(folder, "elsewhere"));
    await writeFile(join(folder, "elsewhere/real.json"), "1");
    await mkdir(join(folder, "here"));
    await symlink("../elsewhere/real.json", join(folder, "here/azure.json"));
    watch(join(folder, "here/azure.json"));
    await writeFile(join(folder, "elsewhere/real.json"), "2");
    await expect.poll(() => changes).toBe(1);
  });

  test("missing at first, and gone in between", async () => {
    const path = join(folder, "azure.json");
    watch(path);
    await writeFile(path, "1");
    await expect.poll(() => changes).toBe(1);
    await rm(path);
    await expect.poll(() => changes).toBe(2);
  });

  test("any one of several", async () => {
    await writeFile(join(folder, "a"), "1");
    await writeFile(join(folder, "b"), "1");
    watch(join(folder, "a"), join(folder, "b"));
    await writeFile(join(folder, "b"), "2");
    await expect.poll(() => changes).toBe(1);
  });
});

test("events without a change are no news; without events files are compared now and then", async () => {
  const clock = new FakeClock();
  const path = join(folder, "nowhere", "azure.json");
  // Its folder cannot be watched: it is not there yet.
  watches.push(new FileWatch({ paths: [path], clock, pollMs: 1000, onChange: () => (changes += 1) }));
  await clock.run(5000);
  expect(changes).toBe(0);
  await mkdir(join(folder, "nowhere"));
  await writeFile(path, "1");
  await clock.run(1000);
  expect(changes).toBe(1);
});
