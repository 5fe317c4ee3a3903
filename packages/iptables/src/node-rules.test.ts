import { expect, test } from "vitest";
import { FakeIptables } from "./fake-iptables.ts";
import { IptablesError } from "./iptables-error.ts";
import { NodeRules } from "./node-rules.ts";

const rules = { metadataIp: "169.254.169.254", metadataPort: 80, targetIp: "127.0.0.1", targetPort: 2579 };
const KUBELET = "*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n";

test("installs once, flushes conntrack, then touches nothing", async () => {
  const node = new FakeIptables();
  node.conntrackEntries = 3;
  const nodeRules = new NodeRules({ exec: node.exec, rules });
  expect(await nodeRules.check()).toBe(false);
  expect(await nodeRules.ensure()).toEqual({ changed: true });
  expect(await nodeRules.check()).toBe(true);
  expect(node.restores).toBe(1);
  expect(node.calls.filter((call) => call.command === "conntrack").map((call) => call.args.join(" "))).toEqual([
    "-D -p tcp -d 169.254.169.254 --dport 80 --reply-src 169.254.169.254",
  ]);
  expect(await nodeRules.ensure()).toEqual({ changed: false });
  expect(node.restores).toBe(1);
  expect(node.calls.filter((call) => call.command === "conntrack")).toHaveLength(1);
});

test("waits for the lock of xtables", async () => {
  const node = new FakeIptables();
  await new NodeRules({ exec: node.exec, rules }).ensure();
  expect(node.calls.find((call) => call.command === "iptables-restore")?.args).toEqual(["--noflush", "-w", "10"]);
});

test("repairs a wiped nat table and flushes again", async () => {
  const node = new FakeIptables();
  const nodeRules = new NodeRules({ exec: node.exec, rules });
  await nodeRules.ensure();
  node.set("iptables", node.save().replace(/\*nat[^]*?COMMIT\n/, "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"));
  expect(await nodeRules.check()).toBe(false);
  expect(await nodeRules.ensure()).toEqual({ changed: true });
  expect(node.calls.filter((call) => call.command === "conntrack")).toHaveLength(2);
});

test("a missing conntrack program is reported, not fatal", async () => {
  const node = new FakeIptables();
  node.conntrackEntries = undefined;
  const warnings: string[] = [];
  const log = { info: () => undefined, warn: (_: object, message: string) => void warnings.push(message) };
  const nodeRules = new NodeRules({ exec: node.exec, rules, log });
  expect(await nodeRules.ensure()).toEqual({ changed: true });
  expect(warnings).toEqual([expect.stringContaining("conntrack is not installed")]);
  expect(await nodeRules.flushConntrack()).toEqual({ available: false, deleted: 0 });
});

test.for([
  {
    name: "kubelet's mark in nft",
    nft: KUBELET,
    legacy: "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j ACCEPT\nCOMMIT\n",
    active: "iptables-nft",
  },
  { name: "kubelet's mark in legacy", nft: "", legacy: KUBELET, active: "iptables-legacy" },
  {
    name: "more rules in legacy",
    nft: "",
    legacy: "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j ACCEPT\nCOMMIT\n",
    active: "iptables-legacy",
  },
  { name: "nothing anywhere", nft: "", legacy: "", active: "iptables-nft" },
])("backend: $name", async ({ nft, legacy, active }) => {
  const node = new FakeIptables({ "iptables-nft": nft, "iptables-legacy": legacy });
  await new NodeRules({ exec: node.exec, rules }).ensure();
  const other = active === "iptables-nft" ? "iptables-legacy" : "iptables-nft";
  expect(node.save(active)).toContain("-j aad-metadata");
  expect(node.save(other)).not.toContain("aad-metadata");
});

test("rules of ours in the wrong backend go, foreign ones there stay", async () => {
  const legacy =
    "*nat\n:PREROUTING ACCEPT [0:0]\n:aad-metadata - [0:0]\n-A PREROUTING -j aad-metadata\n-A PREROUTING -i eth9 -j ACCEPT\n-A aad-metadata -j RETURN\nCOMMIT\n";
  const node = new FakeIptables({ "iptables-nft": KUBELET, "iptables-legacy": legacy });
  await new NodeRules({ exec: node.exec, rules }).ensure();
  expect(node.save("iptables-legacy")).not.toContain("aad-metadata");
  expect(node.save("iptables-legacy")).toContain("-A PREROUTING -i eth9 -j ACCEPT");
  expect(node.save("iptables-nft")).toContain("-j aad-metadata");
});

test("remove clears both backends and is content with nothing", async () => {
  const node = new FakeIptables({ "iptables-nft": "", "iptables-legacy": "" });
  const nodeRules = new NodeRules({ exec: node.exec, rules });
  await nodeRules.ensure();
  await nodeRules.remove();
  expect(node.save("iptables-nft")).not.toMatch(/aad-metadata|podid-guard/);
  const { restores } = node;
  await nodeRules.remove();
  expect(node.restores).toBe(restores);
});

test("another program's change between look and restore is looked at again", async () => {
  const node = new FakeIptables({
    iptables: "*nat\n:PREROUTING ACCEPT [0:0]\n:aad-metadata - [0:0]\n-A PREROUTING -p tcp -j aad-metadata\nCOMMIT\n",
  });
  let once = true;
  node.beforeRestore = () => {
    if (once) node.set("iptables", "");
    once = false;
  };
  expect(await new NodeRules({ exec: node.exec, rules }).ensure()).toEqual({ changed: true });
  expect(node.restores).toBe(2);
});

test("rules that another program keeps removing are an error that says so", async () => {
  const node = new FakeIptables();
  const exec: typeof node.exec = async (command, args, options) => {
    const result = await node.exec(command, args, options);
    if (command.endsWith("-restore")) node.set("iptables", "");
    return result;
  };
  await expect(new NodeRules({ exec, rules }).ensure()).rejects.toThrow(/do not stay: .*aad-metadata.*another program/);
});

test("a restore that fails keeps its message and its code", async () => {
  const node = new FakeIptables();
  const exec: typeof node.exec = async (command, args, options) =>
    command.endsWith("-restore")
      ? { code: 4, stdout: "", stderr: "Another app is currently holding the xtables lock\n" }
      : node.exec(command, args, options);
  const failure = await new NodeRules({ exec, rules }).ensure().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(IptablesError);
  expect(failure).toMatchObject({ code: 4, message: expect.stringContaining("xtables lock") });
});

test("without any iptables the error names the package", async () => {
  const node = new FakeIptables({});
  await expect(new NodeRules({ exec: node.exec, rules }).check()).rejects.toThrow(/install the package iptables/);
});
