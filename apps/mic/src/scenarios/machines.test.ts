import { emptyLedger } from "@podid/azure-assigner";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId, vmssProviderId } from "../../test/cluster.ts";
import { ConfigMapLedgers } from "../groups/config-map-ledgers.ts";
import { groupOf, Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

describe("several pods and machines", () => {
  test("S16 Swap on a node, controller restarted between", async () => {
    await h.cluster.node("test-node2", vmProviderId("test-node2"));
    for (const n of [2, 3, 4]) {
      await h.cluster.identity(`test-id${n}`, { resourceID: resourceId(`identity${n}`) });
      await h.cluster.binding(`testbinding${n}`, `test-id${n}`, `test-select${n}`);
    }
    await h.cluster.pod("test-pod2", "test-node2", "test-select2");
    await h.cluster.pod("test-pod4", "test-node2", "test-select4");
    const first = h.start();
    await h.becomes({ "test-pod2-default-test-id2": "Assigned", "test-pod4-default-test-id4": "Assigned" });
    await h.stop(first);
    await h.cluster.delete("pod", "test-pod2");
    await h.cluster.delete("pod", "test-pod4");
    await h.cluster.pod("test-pod3", "test-node2", "test-select3");
    h.start();
    await h.becomes({ "test-pod3-default-test-id3": "Assigned" });
    expect(h.held(vmProviderId("test-node2"))).toEqual(["identity3"]);
  });

  async function threeScaleSetNodes(): Promise<void> {
    await h.cluster.node("test-node1", vmssProviderId("testvmss1", 0));
    await h.cluster.node("test-node2", vmssProviderId("testvmss1", 1));
    await h.cluster.node("test-node3", vmssProviderId("testvmss2", 0));
    await h.cluster.identity("test-id", { clientID: "test-user-msi-clientid", resourceID: resourceId("identity1") });
    await h.cluster.binding("testbinding", "test-id", "test-select");
    for (const n of [1, 2, 3]) await h.cluster.pod(`test-pod${n}`, `test-node${n}`, "test-select");
  }
  const assigned = (...pods: readonly number[]): Record<string, string> =>
    Object.fromEntries(pods.map((n) => [`test-pod${n}-default-test-id`, "Assigned"]));

  test("S32 Shared identity on VMSS", async () => {
    await threeScaleSetNodes();
    h.start();
    await h.becomes(assigned(1, 2, 3));
    const [one, two] = [vmssProviderId("testvmss1", 0), vmssProviderId("testvmss2", 0)];
    expect([h.held(one), h.held(two)]).toEqual([["identity1"], ["identity1"]]);
    await h.cluster.delete("pod", "test-pod1");
    await h.becomes(assigned(2, 3));
    expect([h.held(one), h.held(two)]).toEqual([["identity1"], ["identity1"]]);
    await h.cluster.delete("pod", "test-pod2");
    await h.becomes(assigned(3));
    expect([h.held(one), h.held(two)]).toEqual([[], ["identity1"]]);
    expect(h.arm.machine(groupOf(one)).type).toBe("None");
    expect(
      h.arm.patches.every(
        ({ group: key }) => key.includes("/virtualmachinescalesets/testvmss") && !key.includes("/virtualmachines/"),
      ),
    ).toBe(true);
    expect(h.arm.patches).toHaveLength(3);
  });

  test("S33 Immutable", async () => {
    await threeScaleSetNodes();
    h.start({ protectedIdentities: ["zero-test", " CLIENT-identity1"] });
    await h.becomes(assigned(1, 2, 3));
    await h.cluster.delete("pod", "test-pod1");
    await h.cluster.delete("pod", "test-pod2");
    await h.becomes(assigned(3));
    expect(h.held(vmssProviderId("testvmss1", 0))).toEqual(["identity1"]);
  });

  test("an identity annotated to be kept stays attached", async () => {
    await h.simple();
    await h.cluster.merge("identity", "test-id", { metadata: { annotations: { "podid.dev/keep": "true" } } });
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });

  test("what was attached before stays attached", async () => {
    await h.simple();
    h.arm.attach(groupOf(vmProviderId("test-node")), resourceId("identity1"));
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]);
    expect(h.arm.patches).toEqual([]);
  });

  test("S39 System-assigned untouched", async () => {
    await h.simple();
    const machine = h.arm.machine(groupOf(vmProviderId("test-node")));
    machine.type = "SystemAssigned";
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect(machine.type).toBe("SystemAssigned, UserAssigned");
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(machine.type).toBe("SystemAssigned");
  });

  test("S44 200 identities go in two requests", async () => {
    await h.cluster.node("node", vmProviderId("node"));
    for (let n = 0; n < 200; n += 1) {
      await h.cluster.identity(`id-${n}`, { resourceID: resourceId(`identity-${n}`) });
      await h.cluster.binding(`binding-${n}`, `id-${n}`, "sel");
    }
    await h.cluster.pod("pod", "node", "sel");
    h.start();
    await until(async () =>
      expect(Object.values(await h.cluster.statuses()).filter((status) => status === "Assigned")).toHaveLength(200),
    );
    expect(h.held(vmProviderId("node"))).toHaveLength(200);
    expect(
      Math.max(...h.arm.patches.map(({ patch }) => Object.keys(patch.userAssignedIdentities ?? {}).length)),
    ).toBeLessThanOrEqual(150);
  });

  test("S47 Existing not disturbed", async () => {
    await h.simple();
    h.arm.known = new Set([resourceId("identity1").toLowerCase()]);
    const { log } = h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    for (const n of [1, 2]) {
      await h.cluster.identity(`bad-${n}`, { resourceID: resourceId(`missing-${n}`) });
      await h.cluster.binding(`bad-${n}`, `bad-${n}`, `bad-${n}`);
      await h.cluster.pod(`bad-${n}`, "test-node", `bad-${n}`);
    }
    await until(async () =>
      expect((await h.cluster.events()).filter((event) => event.includes("missing-"))).toHaveLength(2),
    );
    expect(await h.cluster.statuses()).toEqual({
      [SIMPLE]: "Assigned",
      "bad-1-default-bad-1": "Created",
      "bad-2-default-bad-2": "Created",
    });
    for (const n of [1, 2])
      expect(log.join("")).toContain(
        `removing ${resourceId(`missing-${n}`).toLowerCase()} from ID list since it is erroneous`,
      );
    expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });

  test("S50 Deleting VM: no PATCH", async () => {
    await h.simple();
    h.arm.machine(groupOf(vmProviderId("test-node"))).provisioningState = "Deleting";
    h.start();
    await until(async () =>
      expect((await h.cluster.events()).join("\n")).toContain("vm is in 'Deleting' provisioning state"),
    );
    expect(h.arm.patches).toEqual([]);
    expect(await h.cluster.statuses()).toEqual({ [SIMPLE]: "Created" });
  });

  test("L-54 two pods of the same name in two namespaces share an identity; one goes, the other keeps it", async () => {
    await h.simple();
    await h.cluster.pod("test-pod", "test-node", "test-select", "podid");
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned", "test-pod-podid-test-id": "Assigned" });
    await h.cluster.delete("pod", "test-pod", "podid");
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });

  test("L-55 two AzureIdentities name the same resource in different casing; one goes, the other keeps it", async () => {
    await h.simple();
    await h.cluster.identity("shout", { resourceID: resourceId("identity1").toUpperCase() });
    await h.cluster.binding("shout", "shout", "shout");
    await h.cluster.pod("shout", "test-node", "shout");
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned", "shout-default-shout": "Assigned" });
    await h.cluster.delete("pod", "shout");
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect(h.arm.patches).toHaveLength(1);
  });

  test("L-56 node gone: its objects go, and the scale set is released of what only that node used", async () => {
    await threeScaleSetNodes();
    await h.cluster.identity("own", { resourceID: resourceId("own") });
    await h.cluster.binding("own", "own", "own");
    await h.cluster.pod("own", "test-node2", "own");
    const { log } = h.start();
    await h.becomes({ ...assigned(1, 2, 3), "own-default-own": "Assigned" });
    await h.cluster.delete("node", "test-node2");
    await h.becomes(assigned(1, 3));
    await until(() => expect(h.held(vmssProviderId("testvmss1", 0))).toEqual(["identity1"]));
    expect(log.join("")).toContain("deleting all assigned identites for test-node2 as node not found");
    expect(log.join("")).toMatch(/work done: true\. Found \d+ pods, 2 ids, 2 bindings/);
  });

  test("the last node of a scale set gone: everything of ours is released", async () => {
    await threeScaleSetNodes();
    h.start();
    await h.becomes(assigned(1, 2, 3));
    await h.cluster.delete("node", "test-node3");
    await h.becomes(assigned(1, 2));
    await until(() => expect(h.held(vmssProviderId("testvmss2", 0))).toEqual([]));
    const names = async (): Promise<unknown[]> =>
      (await h.cluster.ledgers()).map(({ metadata }) => metadata.annotations?.["podid.dev/node-group"]);
    await until(async () => expect(await names()).toEqual([expect.stringContaining("testvmss1")]));
  });

  test("machines that come and go leave no ledgers behind, whoever leads by then; what nobody can read stays", async () => {
    const [gone, unreadable] = ["gone", "unreadable"].map((name) => groupOf(vmProviderId(name)));
    if (gone === undefined || unreadable === undefined) throw new Error("fixture");
    const ledgers = new ConfigMapLedgers(h.cluster.transport, "podid");
    for (const group of [gone, unreadable]) await ledgers.save(group, emptyLedger(group), undefined);
    const broken = (await h.cluster.ledgers()).find(({ metadata }) => metadata.name.includes("unreadable"));
    await h.cluster.merge("configMap", broken?.metadata.name ?? "", { data: { "ledger.json": "{" } }, "podid");
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    await h.cluster.delete("node", "test-node");
    await until(async () =>
      expect((await h.cluster.ledgers()).map(({ metadata }) => metadata.name)).toEqual([broken?.metadata.name]),
    );
  });

  test("a scale set that hangs does not delay another", async () => {
    await threeScaleSetNodes();
    h.arm.beforePatch = ({ name }) => (name === "testvmss1" ? new Promise<void>(() => {}) : undefined);
    h.start();
    await until(async () => expect(await h.cluster.statuses()).toMatchObject(assigned(3)));
    await h.cluster.pod("late", "test-node3", "test-select");
    await until(async () => expect(await h.cluster.statuses()).toMatchObject({ "late-default-test-id": "Assigned" }));
    expect(await h.cluster.statuses()).toMatchObject({ "test-pod1-default-test-id": "Created" });
  });

  test("pods that come while ARM works go together into the next request", async () => {
    await h.simple();
    let release = (): void => {};
    h.arm.beforePatch = () => new Promise<void>((resolve) => (release = resolve));
    h.start();
    await until(() => expect(h.arm.patches).toHaveLength(1));
    for (const n of [1, 2, 3]) {
      await h.cluster.identity(`id-${n}`, { resourceID: resourceId(`more-${n}`) });
      await h.cluster.binding(`b-${n}`, `id-${n}`, `sel-${n}`);
      await h.cluster.pod(`pod-${n}`, "test-node", `sel-${n}`);
    }
    await until(async () => expect(Object.keys(await h.cluster.statuses())).toHaveLength(4));
    h.arm.beforePatch = undefined;
    release();
    await until(async () =>
      expect(Object.values(await h.cluster.statuses())).toEqual(["Assigned", "Assigned", "Assigned", "Assigned"]),
    );
    expect(h.arm.patches).toHaveLength(2);
  });
});
