import { describe, expect, test } from "vitest";
import { parseComputeResourceId, parseProviderId } from "./node-group.ts";

describe("S04 compute id parsing", () => {
  test.for(["", "asdf", "/subscriptions/asdf/resourceGroups/qwery"])("S04 %j is none", (text) => {
    expect(parseComputeResourceId(text)).toMatchObject({ ok: false, errors: [{ field: "id", value: text }] });
  });

  const id = "/subscriptions/asdf/resourceGroups/qwerty/providers/testCompute/myComputeObjectType/testComputeResource";
  test.for([id, `${id}/someNestedResource/myNestedResource`])("S04 %s", (text) => {
    expect(parseComputeResourceId(text)).toEqual({
      ok: true,
      value: {
        subscriptionId: "asdf",
        resourceGroup: "qwerty",
        provider: "testCompute",
        resourceType: "myComputeObjectType",
        name: "testComputeResource",
      },
    });
  });
});

const COMPUTE = "azure:///subscriptions/Sub-1/resourceGroups/MC_rg.x(1)_aks/providers/Microsoft.Compute";

test("a virtual machine", () => {
  expect(parseProviderId(`${COMPUTE}/virtualMachines/aks-Node-0`)).toEqual({
    ok: true,
    value: {
      group: {
        kind: "virtualMachine",
        subscriptionId: "Sub-1",
        resourceGroup: "MC_rg.x(1)_aks",
        name: "aks-Node-0",
        id: "/subscriptions/Sub-1/resourceGroups/MC_rg.x(1)_aks/providers/Microsoft.Compute/virtualMachines/aks-Node-0",
        key: "/subscriptions/sub-1/resourcegroups/mc_rg.x(1)_aks/providers/microsoft.compute/virtualmachines/aks-node-0",
      },
    },
  });
});

test.for([
  { name: "uniform", suffix: "virtualMachineScaleSets/aks-pool1-vmss/virtualMachines/12", instance: "12" },
  {
    name: "flexible",
    suffix: "virtualMachineScaleSets/aks-pool1-vmss/virtualMachines/aks-pool1_3f",
    instance: "aks-pool1_3f",
  },
  { name: "lower case", suffix: "virtualmachinescalesets/AKS-pool1-VMSS/virtualmachines/0", instance: "0" },
])("an instance of a scale set, $name", ({ suffix, instance }) => {
  const result = parseProviderId(`${COMPUTE}/${suffix}`);
  expect(result).toMatchObject({ ok: true, value: { instance, group: { kind: "virtualMachineScaleSet" } } });
  expect(result.ok && result.value.group.key).toBe(
    "/subscriptions/sub-1/resourcegroups/mc_rg.x(1)_aks/providers/microsoft.compute/virtualmachinescalesets/aks-pool1-vmss",
  );
});

test("casing makes no difference, the scheme's and the provider's included", () => {
  const id = `${COMPUTE}/virtualMachineScaleSets/v/virtualMachines/3`;
  const [plain, upper] = [parseProviderId(id), parseProviderId(id.toUpperCase())];
  expect(upper.ok && upper.value.group.key).toBe(plain.ok && plain.value.group.key);
});

test.for([
  { name: "empty", text: "" },
  { name: "another cloud's", text: "aws:///us-east-1a/i-0123" },
  { name: "no scheme", text: COMPUTE.slice("azure://".length) },
  { name: "a resource group only", text: "azure:///subscriptions/s/resourceGroups/rg" },
  { name: "a scale set without instance", text: `${COMPUTE}/virtualMachineScaleSets/v` },
  { name: "something below a machine", text: `${COMPUTE}/virtualMachines/m/extensions/e` },
  { name: "something below an instance", text: `${COMPUTE}/virtualMachineScaleSets/v/virtualMachines/1/extensions/e` },
  { name: "a disk", text: `${COMPUTE}/disks/d` },
  { name: "another provider", text: `${COMPUTE.replace("Compute", "Storage")}/virtualMachines/m` },
  { name: "a relative name", text: `${COMPUTE}/virtualMachines/..` },
  { name: "a query", text: `${COMPUTE}/virtualMachines/m?x` },
])("no node group: $name", ({ text }) => {
  expect(parseProviderId(text)).toMatchObject({ ok: false, errors: [{ field: "spec.providerID", value: text }] });
});
