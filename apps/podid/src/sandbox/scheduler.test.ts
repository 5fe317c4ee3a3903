import { expect, test } from "vitest";
import { AddressPool } from "./address-pool.ts";
import { parseTarget } from "./exec-command.ts";
import { hostsFile } from "./host-files.ts";
import { chooseNode } from "./scheduler.ts";
import { planTopology } from "./topology.ts";

const { nodes } = planTopology({ nodes: 3, virtualMachines: 1 });
const pod = (nodeSelector?: Record<string, string>) => ({
  metadata: { name: "p" },
  spec: nodeSelector ? { nodeSelector } : {},
});

test.for([
  { name: "the emptiest", selector: undefined, counts: [2, 1, 3], want: "aks-pool-vmss000000" },
  { name: "the first of equals", selector: undefined, counts: [1, 1, 1], want: "aks-vm-0" },
  {
    name: "only those the selector allows",
    selector: { agentpool: "pool" },
    counts: [0, 5, 4],
    want: "aks-pool-vmss000001",
  },
  { name: "a node by name", selector: { "kubernetes.io/hostname": "aks-vm-0" }, counts: [9, 0, 0], want: "aks-vm-0" },
  { name: "none", selector: { "kubernetes.io/os": "windows" }, counts: [0, 0, 0], want: undefined },
])("scheduling: $name", ({ selector, counts, want }) => {
  expect(chooseNode(pod(selector), nodes, (node) => counts[node.index - 1] ?? 0)?.name).toBe(want);
});

test("an address rests as long as possible before it is used again", () => {
  const pool = new AddressPool("10.244.1.");
  expect([pool.take(), pool.take()]).toEqual(["10.244.1.2", "10.244.1.3"]);
  pool.release("10.244.1.2");
  expect(pool.take()).toBe("10.244.1.4");
  for (let i = 0; i < 251; i++) pool.take();
  expect(() => pool.take()).toThrow("no address is left in 10.244.1.0/24");
  pool.release("10.244.1.7");
  expect(pool.take()).toBe("10.244.1.7");
});

test.for([
  { text: "kube-system/x", want: { namespace: "kube-system", pod: "x" } },
  { text: "x", want: { namespace: "default", pod: "x" } },
  { text: "node/aks-vm-0", want: { node: "aks-vm-0" } },
  { text: "a/b/c", want: undefined },
  { text: "a/", want: undefined },
  { text: "", want: undefined },
])("target $text", ({ text, want }) => {
  expect(parseTarget(text)).toEqual(want);
});

test("the cloud's names lead to the fabric", () => {
  const hosts = hostsFile([["10.244.1.2", "demo"]]);
  expect(hosts).toMatch(/^10\.99\.0\.1 .*\bmanagement\.azure\.com\b.*\blogin\.microsoftonline\.com\b/m);
  expect(hosts).toMatch(/^10\.244\.1\.2 demo$/m);
});
