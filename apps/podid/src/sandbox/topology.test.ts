import fc from "fast-check";
import { expect, test } from "vitest";
import { fabricCommands, nodeCommands } from "./fabric.ts";
import { LARGEST, planTopology } from "./topology.ts";

test("a VM and instances of one scale set, named and identified as AKS does", () => {
  const { nodes } = planTopology({ nodes: 3, virtualMachines: 1 });
  expect(nodes.map(({ name, kind, address, podCidr }) => [name, kind, address, podCidr])).toEqual([
    ["aks-vm-0", "virtualMachine", "10.99.1.1", "10.244.1.0/24"],
    ["aks-pool-vmss000000", "virtualMachineScaleSet", "10.99.1.2", "10.244.2.0/24"],
    ["aks-pool-vmss000001", "virtualMachineScaleSet", "10.99.1.3", "10.244.3.0/24"],
  ]);
  expect(nodes[0]?.providerId).toMatch(/^azure:\/\/\/subscriptions\/.*\/virtualMachines\/aks-vm-0$/);
  expect(nodes[2]?.providerId).toMatch(/\/virtualMachineScaleSets\/aks-pool-vmss\/virtualMachines\/1$/);
});

test("law: no two things share a name or an address, whatever the size", () => {
  const sizes = fc
    .integer({ min: 1, max: LARGEST })
    .chain((nodes) => fc.record({ nodes: fc.constant(nodes), virtualMachines: fc.integer({ min: 0, max: nodes }) }));
  fc.assert(
    fc.property(sizes, (size) => {
      const { nodes, mic } = planTopology(size);
      const all = [
        ...nodes.flatMap((n) => [
          n.name,
          n.imdsNamespace,
          n.address,
          n.podCidr,
          n.podGateway,
          n.imdsLink.node,
          n.imdsLink.imds,
          n.machineId,
        ]),
        ...mic.flatMap((m) => [m.name, m.address]),
      ];
      expect(new Set(all).size).toBe(all.length);
      expect(nodes.filter((n) => n.kind === "virtualMachine")).toHaveLength(size.virtualMachines);
      // Interface names have 15 characters at most.
      expect(
        fabricCommands(planTopology(size))
          .flatMap((c) => /link add (\S+)/.exec(c)?.[1] ?? [])
          .filter((name) => name.length > 15),
      ).toEqual([]);
    }),
    { numRuns: 50 },
  );
});

test("a node routes the metadata address to its own metadata service and other nodes' pods to those nodes", () => {
  const { nodes } = planTopology({ nodes: 2, virtualMachines: 1 });
  const [first, second] = nodes;
  if (!first || !second) throw new Error("two nodes");
  const commands = nodeCommands(first, nodes);
  expect(commands).toContain("route add 169.254.169.254 via 10.98.1.2");
  expect(commands).toContain("route add 10.244.2.0/24 via 10.99.1.2");
  expect(commands.some((command) => command.includes("10.244.1.0/24"))).toBe(false);
});

test.for([
  { nodes: 0, virtualMachines: 0, says: "--nodes 0" },
  { nodes: 61, virtualMachines: 1, says: "from 1 to 60" },
  { nodes: 1.5, virtualMachines: 1, says: "whole number" },
  { nodes: 2, virtualMachines: 3, says: "--virtual-machines 3" },
])("refuses $nodes nodes of which $virtualMachines VMs", ({ says, ...size }) => {
  expect(() => planTopology(size)).toThrow(says);
});
