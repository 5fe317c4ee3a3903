import { emptyLedger } from "@podid/azure-assigner";
import type { Ledger } from "@podid/azure-assigner";
import { LEDGER_STORE_CONTRACT } from "@podid/azure-assigner/testing";
import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Cluster, vmProviderId, vmssProviderId } from "../../test/cluster.ts";
import { ConfigMapLedgers } from "./config-map-ledgers.ts";
import type { UnreadableLedger } from "./config-map-ledgers.ts";

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

const OWNING: Ledger = {
  ...emptyLedger(group(vmProviderId("vm"))),
  entries: { k: { id: "K", state: "attached", origin: "podid" } },
};

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

  test.for([
    { name: "truncated", text: '{"group":"', kept: '{"group":"' },
    { name: "of another shape", text: '{"group":"g","entries":null}', kept: '{"group":"g","entries":null}' },
    { name: "away", text: null, kept: undefined },
  ])("a ledger whose text is $name owns nothing, is reported once, and its text is kept", async ({ text, kept }) => {
    const vm = group(vmProviderId("vm"));
    await new ConfigMapLedgers(cluster.transport, "podid").save(vm, OWNING, undefined);
    const [{ metadata: { name } } = { metadata: { name: "" } }] = await cluster.ledgers();
    await cluster.merge("configMap", name, { data: { "ledger.json": text, "theirs.txt": "x" } }, "podid");

    const reports: UnreadableLedger[] = [];
    const ledgers = new ConfigMapLedgers(cluster.transport, "podid", (report) => reports.push(report));
    await ledgers.reload();
    const { ledger, version } = await ledgers.load(vm);
    expect(ledger).toEqual(emptyLedger(vm));
    expect(ledgers.ownsAnything(vm.key)).toBe(false);
    expect(reports).toMatchObject([{ configMap: `podid/${name}`, group: vm.id }]);

    const saved = await ledgers.save(vm, { ...ledger, epoch: 1 }, version);
    await ledgers.save(vm, { ...ledger, epoch: 2 }, saved.version);
    const data = (await cluster.find("configMap", name, "podid"))?.["data"] as Record<string, string>;
    expect(JSON.parse(data["ledger.json"] ?? "")).toMatchObject({ epoch: 2 });
    expect([data["unreadable-1.json"], data["theirs.txt"]]).toEqual([kept, "x"]);
    expect(reports).toHaveLength(1);
  });

  test("a ledger that becomes unreadable again is kept beside the first; one without its group's name is reported, too", async () => {
    const vm = group(vmProviderId("vm"));
    const reports: UnreadableLedger[] = [];
    const ledgers = new ConfigMapLedgers(cluster.transport, "podid", (report) => reports.push(report));
    await ledgers.save(vm, OWNING, undefined);
    const [{ metadata: { name } } = { metadata: { name: "" } }] = await cluster.ledgers();
    for (const text of ["one", "two"]) {
      await cluster.merge("configMap", name, { data: { "ledger.json": text } }, "podid");
      await ledgers.reload();
      const { ledger, version } = await ledgers.load(vm);
      await ledgers.save(vm, ledger, version);
    }
    expect((await cluster.find("configMap", name, "podid"))?.["data"]).toMatchObject({
      "unreadable-1.json": "one",
      "unreadable-2.json": "two",
    });
    await cluster.merge("configMap", name, { metadata: { annotations: null }, data: { "ledger.json": "3" } }, "podid");
    expect(await ledgers.reload()).toEqual([]);
    expect(reports.map(({ configMap, group: id }) => [configMap, id])).toEqual([
      [`podid/${name}`, vm.id],
      [`podid/${name}`, vm.id],
      [`podid/${name}`, undefined],
    ]);
  });
});
