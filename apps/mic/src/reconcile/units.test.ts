import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";
import fc from "fast-check";
import { expect, test } from "vitest";
import { vmProviderId, vmssProviderId } from "../../test/cluster.ts";
import { LIST_FROM, unitsOf } from "./units.ts";
import type { ReconcileUnit } from "./units.ts";

function group(providerId: string): NodeGroup {
  const parsed = parseProviderId(providerId);
  if (!parsed.ok) throw new Error("fixture");
  return parsed.value.group;
}

function vms(count: number, resourceGroup = "rg"): NodeGroup[] {
  return Array.from({ length: count }, (_, n) => group(vmProviderId(`vm-${n}`, resourceGroup)));
}

const shape = (units: readonly ReconcileUnit[]): string[] =>
  units.map((unit) => (unit.kind === "list" ? `list of ${unit.groups.length}` : unit.group.name)).toSorted();

test.for([
  { name: "few machines are read one by one", groups: vms(2), want: ["vm-0", "vm-1"] },
  { name: "many in one resource group are listed", groups: vms(LIST_FROM), want: [`list of ${LIST_FROM}`] },
  {
    name: "each kind and each resource group has its own list, in any casing",
    groups: [
      ...vms(LIST_FROM, "RG"),
      ...vms(3, "other"),
      group(vmssProviderId("pool", 0)),
      group(vmssProviderId("pool2", 0)),
    ],
    want: [`list of ${LIST_FROM}`, "pool", "pool2", "vm-0", "vm-1", "vm-2"],
  },
])("$name", ({ groups, want }) => {
  expect(shape(unitsOf(groups))).toEqual(want.toSorted());
});

test("what may not be listed is read one by one", () => {
  expect(unitsOf(vms(20), () => false)).toHaveLength(20);
});

test("law: every group is in exactly one unit, and the order does not depend on that of the groups", () => {
  const some = fc.uniqueArray(fc.tuple(fc.nat({ max: 40 }), fc.constantFrom("a", "b"), fc.boolean()), {
    selector: (parts) => parts.join(),
    maxLength: 60,
  });
  fc.assert(
    fc.property(some, (parts) => {
      const groups = parts.map(([n, resourceGroup, scaleSet]) =>
        group(scaleSet ? vmssProviderId(`m${n}`, 0, resourceGroup) : vmProviderId(`m${n}`, resourceGroup)),
      );
      const units = unitsOf(groups);
      const keys = units.flatMap((unit) => (unit.kind === "list" ? unit.groups : [unit.group])).map(({ key }) => key);
      expect(keys.toSorted()).toEqual(groups.map(({ key }) => key).toSorted());
      const names = (of: readonly ReconcileUnit[]): string[] =>
        of.map((unit) => (unit.kind === "list" ? unit.scope.resourceGroup + unit.scope.kind : unit.group.key));
      expect(names(unitsOf(groups.toReversed()))).toEqual(names(units));
    }),
  );
});
