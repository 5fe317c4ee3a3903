import { emptyLedger } from "@podid/azure-assigner";
import { LEDGER_STORE_CONTRACT } from "@podid/azure-assigner/testing";
import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Cluster, vmProviderId, vmssProviderId } from "../../test/cluster.ts";
import { ConfigMapLedgers } from "./config-map-ledgers.ts";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start();
});
afterAll(() => cluster.close());
beforeEach(async () => {
  for (const { metadata } of await cluster.ledgers())
    await cluster.delete("configMap", metadata.name, metadata.namespace);
});

function group(providerId: string): NodeGroup {
  const parsed = parseProviderId(providerId);
  if (!parsed.ok) throw new Error("fixture");
  return parsed.value.group;
}

describe("ledgers in ConfigMaps", () => {
  test.for(LEDGER_STORE_CONTRACT)("$name", ({ check }) => check(new ConfigMapLedgers(cluster.transport, "podid")));

  test("another instance finds them all, a stale one is refused and then up to date", async () => {
    const [vm, vmss] = [group(vmProviderId("vm_1")), group(vmssProviderId("a.very-long_(name)".repeat(8), 0))];
    const first = new ConfigMapLedgers(cluster.transport, "podid");
    await first.save(
      vm,
      { ...emptyLedger(vm), adopted: true, entries: { k: { id: "K", state: "attached", origin: "podid" } } },
      undefined,
    );
    const stale = await first.save(vmss, emptyLedger(vmss), undefined);

    const second = new ConfigMapLedgers(cluster.transport, "podid");
    expect((await second.reload()).map(({ key }) => key).sort()).toEqual([vm.key, vmss.key].sort());
    expect([second.ownsAnything(vm.key), second.ownsAnything(vmss.key)]).toEqual([true, false]);
    await second.save(vmss, { ...emptyLedger(vmss), epoch: 2 }, stale.version);

    await expect(first.save(vmss, emptyLedger(vmss), stale.version)).rejects.toThrow("changed meanwhile");
    expect((await first.load(vmss)).ledger.epoch).toBe(2);
  });

  test("a ledger that cannot be read counts as none, so nothing is detached by it", async () => {
    const vm = group(vmProviderId("vm"));
    const ledgers = new ConfigMapLedgers(cluster.transport, "podid");
    const saved = await ledgers.save(
      vm,
      { ...emptyLedger(vm), entries: { k: { id: "K", state: "attached", origin: "podid" } } },
      undefined,
    );
    const [object] = await cluster.ledgers();
    await cluster.merge("configMap", object?.metadata.name ?? "", { data: { "ledger.json": "{" } }, "podid");
    const other = new ConfigMapLedgers(cluster.transport, "podid");
    const loaded = await other.load(vm);
    expect(loaded.ledger).toEqual(emptyLedger(vm));
    expect(loaded.version).not.toBe(saved.version);
    await other.save(vm, loaded.ledger, loaded.version);
  });
});
