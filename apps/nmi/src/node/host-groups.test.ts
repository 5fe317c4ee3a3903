import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RuleOptions } from "@podid/iptables";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HostGroups } from "./host-groups.ts";

let directory: string;
let own: string;
let changes: Partial<RuleOptions>[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cgroup-"));
  own = join(directory, "own");
  changes = [];
  await writeFile(own, "4:memory:/x\n0::/kubepods.slice/nmi\n");
});
afterEach(() => rm(directory, { recursive: true }));

function groups(allow: readonly string[]): HostGroups {
  return new HostGroups({ rules: { change: (o) => void changes.push(o) }, allow, root: directory, own });
}

async function hierarchy(root = directory): Promise<void> {
  await mkdir(join(root, "kubepods.slice/nmi"), { recursive: true });
  await mkdir(join(root, "system.slice/kubelet.service"), { recursive: true });
  await writeFile(join(root, "cgroup.controllers"), "");
}

test.for([
  ["alone", ""],
  ["beside version 1", "unified"],
] as const)("version 2 %s: what exists is allowed, and NMI itself", async ([, folder]) => {
  await hierarchy(join(directory, folder));
  const host = groups(["system.slice/kubelet.service", "system.slice/absent.service"]);
  expect(await host.refresh()).toEqual(new Set());
  expect(changes).toEqual([{ hostNetwork: { allow: ["system.slice/kubelet.service", "kubepods.slice/nmi"] } }]);
  expect(host.problem).toBeUndefined();
});

test("a group that was made anew has its rule written anew, once", async () => {
  await hierarchy();
  const host = groups(["system.slice/kubelet.service"]);
  await host.refresh();
  await rm(join(directory, "system.slice"), { recursive: true });
  // The inode must not be used again at once.
  await mkdir(join(directory, "taken"));
  await mkdir(join(directory, "taken2"));
  await hierarchy();
  expect(await host.refresh()).toEqual(new Set(["podid-host"]));
  expect(await host.refresh()).toEqual(new Set());
});

test("without version 2, or in a namespace of its own, the reason is kept and the rules for pods are not touched", async () => {
  const host = groups([]);
  expect(await host.refresh()).toEqual(new Set());
  expect(host.problem).toContain("no control groups v2");
  await hierarchy();
  await writeFile(own, "0::/\n");
  await host.refresh();
  expect(host.problem).toContain("control group namespace");
  expect(changes).toEqual([]);
});
