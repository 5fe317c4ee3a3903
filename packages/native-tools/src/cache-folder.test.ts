import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cacheFolder } from "./cache-folder.ts";
import { missingPrograms, SANDBOX_PROGRAMS, systemPath } from "./programs.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "podid-home-"));
});
afterEach(() => rmSync(home, { recursive: true }));

test("XDG_CACHE_HOME, then HOME", () => {
  expect(cacheFolder({ XDG_CACHE_HOME: join(home, "xdg"), HOME: home })).toBe(join(home, "xdg", "podid"));
  const folder = cacheFolder({ HOME: home });
  expect(folder).toBe(join(home, ".cache", "podid"));
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test("a home that does not exist or cannot hold folders is passed over", () => {
  for (const other of ["/proc/nowhere", "/dev/null"]) {
    const folder = cacheFolder({ HOME: other });
    expect(folder.startsWith(other)).toBe(false);
    expect(statSync(folder).uid).toBe(process.getuid?.());
  }
});

test("a relative one would depend on where one stands", () => {
  expect(cacheFolder({ XDG_CACHE_HOME: "cache", HOME: home })).toBe(join(home, ".cache", "podid"));
});

test("folders of the system are added behind the user's own", () => {
  expect(systemPath("/home/me/bin:/usr/bin:/sbin")).toBe(
    "/home/me/bin:/usr/bin:/sbin:/usr/local/sbin:/usr/sbin:/usr/lib/cni",
  );
  expect(systemPath(undefined)).toBe("/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/cni");
});

test("a folder of a program's name is not the program", () => {
  mkdirSync(join(home, "iptables"));
  expect(missingPrograms(home, SANDBOX_PROGRAMS)).toEqual(Object.keys(SANDBOX_PROGRAMS));
});
