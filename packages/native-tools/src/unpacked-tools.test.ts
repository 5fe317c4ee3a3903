import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeLaunchers } from "./unpacked-tools.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podid tools-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function program(path: string): void {
  const file = join(folder, "work/root", path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '#!/bin/sh\necho "$LD_LIBRARY_PATH|$XTABLES_LIBDIR|$*"\n');
  chmodSync(file, 0o755);
}

test("launchers find their tree's libraries wherever the tree is moved to, also on other architectures", () => {
  program("usr/sbin/xtables-nft-multi");
  program("bin/ip");
  mkdirSync(join(folder, "work/root/usr/lib/aarch64-linux-gnu/xtables"), { recursive: true });
  writeLaunchers(join(folder, "work"));
  const moved = join(folder, "moved");
  renameSync(join(folder, "work"), moved);
  const run = (name: string, ...args: string[]): string =>
    execFileSync(join(moved, "bin", name), args, { encoding: "utf8", env: {} }).trim();
  const libraries = `${moved}/bin/../root/usr/lib/aarch64-linux-gnu`;
  expect(run("iptables-save", "-t", "nat")).toBe(
    `${libraries}:${moved}/bin/../root/usr/lib|${libraries}/xtables|iptables-save -t nat`,
  );
  // The multi-call program knows its part by name, and the backend is the program itself.
  expect(run("iptables-nft-restore", "-w")).toContain("|iptables-restore -w");
  expect(run("ip", "link")).toContain("|link");
});

test("links that would lead out of the tree are no programs of it", () => {
  program("usr/bin/conntrack");
  symlinkSync("/etc/alternatives/iptables", join(folder, "work/root/usr/bin/iptables"));
  symlinkSync("conntrack", join(folder, "work/root/usr/bin/other"));
  writeLaunchers(join(folder, "work"));
  expect(["conntrack", "other", "iptables"].map((name) => existsSync(join(folder, "work/bin", name)))).toEqual([
    true,
    true,
    false,
  ]);
});
