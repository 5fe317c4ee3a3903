import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId, vmssProviderId } from "../../test/cluster.ts";
import { groupOf, Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

const VM = vmProviderId("test-node");

async function user(name: string, node: string): Promise<void> {
  await h.cluster.identity(name, { resourceID: resourceId(name) });
  await h.cluster.binding(name, name, name);
  await h.cluster.pod(name, node, name);
}

interface Ledger {
  readonly epoch: number;
  readonly running?: object;
}

async function ledger(): Promise<Ledger> {
  const [first] = await h.cluster.ledgers();
  const data = (first?.["data"] ?? {}) as Record<string, string>;
  return JSON.parse(data["ledger.json"] ?? "{}") as Ledger;
}

test("S34 Cluster identity: protected like an immutable one", async () => {
  await h.simple();
  h.start({ protectedIdentities: ["CLIENT-Identity1 "] });
  await h.becomes({ [SIMPLE]: "Assigned" });
  await h.cluster.delete("pod", "test-pod");
  await h.becomes({});
  expect(h.held(VM)).toEqual(["identity1"]);
});

describe("machines by providerID", () => {
  test("L-73 scale sets of one name in two resource groups, and a VM that is not named as its node", async () => {
    const [one, two] = [vmssProviderId("pool", 0, "rg-one"), vmssProviderId("pool", 0, "RG-Two")];
    const vm = vmProviderId("another-name", "elsewhere");
    await h.cluster.node("one", one);
    await h.cluster.node("two", two);
    await h.cluster.node("renamed", vm);
    for (const name of ["one", "two", "renamed"]) await user(name, name);
    h.start();
    await h.becomes({
      "one-default-one": "Assigned",
      "two-default-two": "Assigned",
      "renamed-default-renamed": "Assigned",
    });
    expect([h.held(one), h.held(two), h.held(vm)]).toEqual([["one"], ["two"], ["renamed"]]);
  });

  test("instances of a flexible scale set are VMs, each with what its own pods need", async () => {
    const [first, second] = [vmProviderId("flex_0"), vmProviderId("flex_1")];
    await h.cluster.node("flex-0", first);
    await h.cluster.node("flex-1", second);
    await user("a", "flex-0");
    await user("b", "flex-1");
    h.start();
    await h.becomes({ "a-default-a": "Assigned", "b-default-b": "Assigned" });
    expect([h.held(first), h.held(second)]).toEqual([["a"], ["b"]]);
  });
});

describe("Azure's own state", () => {
  test("an identity that was deleted and made again is detached and attached again", async () => {
    await h.simple();
    h.start({ reconcileIntervalMs: 100 });
    await h.becomes({ [SIMPLE]: "Assigned" });
    const { identities } = h.arm.machine(groupOf(VM));
    const entry = identities.get(resourceId("identity1").toLowerCase());
    if (entry !== undefined) entry.clientId = undefined;
    await until(() => expect(identities.get(resourceId("identity1").toLowerCase())?.clientId).toBe("client-identity1"));
    expect(h.arm.patches.length).toBe(3);
    expect(await h.cluster.statuses()).toEqual({ [SIMPLE]: "Assigned" });
  });

  test("what the ledger owns and nobody needs is found without any event", async () => {
    await h.simple();
    const first = h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.stop(first);
    await h.cluster.merge("assigned", SIMPLE, { metadata: { finalizers: null } });
    await h.cluster.delete("assigned", SIMPLE);
    await h.cluster.delete("pod", "test-pod");
    await h.cluster.delete("node", "test-node");
    h.start();
    await until(() => expect(h.held(VM)).toEqual([]));
  });

  test("many VMs of a resource group are listed; the one that lost its identity gets it back, one that is broken holds up nobody", async () => {
    const nodes = Array.from({ length: 12 }, (_, n) => `vm-${n}`);
    for (const node of nodes) await h.cluster.node(node, vmProviderId(node));
    await h.cluster.identity("shared", { resourceID: resourceId("shared") });
    await h.cluster.binding("shared", "shared", "shared");
    for (const node of nodes) await h.cluster.pod(node, node, "shared");
    h.start({ reconcileIntervalMs: 150 });
    await until(async () => expect(Object.values(await h.cluster.statuses())).toEqual(nodes.map(() => "Assigned")));
    await until(() => expect(h.arm.lists).toBeGreaterThan(1));
    h.arm.missing.add(groupOf(vmProviderId("vm-3")).key);
    h.arm.machine(groupOf(vmProviderId("vm-7"))).identities.clear();
    await until(() => expect(h.held(vmProviderId("vm-7"))).toEqual(["shared"]));
  });

  test("what does not concern ARM costs no call", async () => {
    await h.simple();
    h.start({ reconcileIntervalMs: 3_600_000 });
    await h.becomes({ [SIMPLE]: "Assigned" });
    const before = [h.arm.reads, h.arm.patches.length];
    await h.cluster.merge("identity", "test-id", { metadata: { annotations: { note: "x" } } });
    await h.cluster.merge("binding", "testbinding", { metadata: { annotations: { note: "x" } } });
    await h.cluster.pod("stranger", "test-node", "nobody");
    await h.cluster.pod("another", "test-node", "test-select");
    await h.becomes({ [SIMPLE]: "Assigned", "another-default-test-id": "Assigned" });
    await h.cluster.delete("pod", "another");
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect([h.arm.reads, h.arm.patches.length]).toEqual(before);
  });
});

describe("identities that ARM refuses", () => {
  test("some may not be assigned and ARM names everybody: the others are assigned, and the event blames the right ones", async () => {
    await h.cluster.node("test-node", VM);
    for (let n = 0; n < 6; n += 1) await user(`id-${n}`, "test-node");
    h.arm.unassignable.add(resourceId("id-2").toLowerCase());
    h.start();
    await until(async () =>
      expect(await h.cluster.statuses()).toEqual(
        Object.fromEntries(
          [0, 1, 2, 3, 4, 5].map((n) => [`id-${n}-default-id-${n}`, n === 2 ? "Created" : "Assigned"]),
        ),
      ),
    );
    await until(async () =>
      expect(
        (await h.cluster.events()).filter((event) => event.includes("LinkedAuthorizationFailed")).join(),
      ).toContain("default/id-2"),
    );
    expect(h.held(VM)).toEqual(["id-0", "id-1", "id-3", "id-4", "id-5"]);
  });
});

describe("a change of leader", () => {
  test("the ledger's epoch rises with every leader, even if the Lease was deleted and counts anew", async () => {
    await h.simple();
    const first = h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    const epoch = (await ledger()).epoch;
    await h.stop(first);
    await h.cluster.delete("lease", "aad-pod-identity-mic", "podid");
    h.start();
    await until(async () => expect((await ledger()).epoch).toBe(epoch + 1));
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(VM)).toEqual([]);
  });

  test("a ledger that was restored from another life does not stop its rightful leader", async () => {
    await h.simple();
    h.start({ reconcileIntervalMs: 200 });
    await h.becomes({ [SIMPLE]: "Assigned" });
    const [stored] = await h.cluster.ledgers();
    const data = (stored?.["data"] ?? {}) as Record<string, string>;
    const text = JSON.stringify({ ...(JSON.parse(data["ledger.json"] ?? "{}") as object), epoch: 70 });
    await h.cluster.merge("configMap", stored?.metadata.name ?? "", { data: { "ledger.json": text } }, "podid");
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect([h.held(VM), (await ledger()).epoch]).toEqual([[], 71]);
  });

  test("a request that waits for ARM ends with the Lease", async () => {
    await h.simple();
    const signals: (AbortSignal | undefined)[] = [];
    const patch = h.arm.patch.bind(h.arm);
    h.arm.patch = (group, body, options) => {
      signals.push(options?.signal);
      return patch(group, body, options);
    };
    h.arm.beforePatch = () => new Promise<void>(() => {});
    let cut = false;
    h.start({}, (transport) => ({
      request: (request) => (cut ? Promise.reject(new Error("no route")) : transport.request(request)),
      stream: (request) => transport.stream(request),
      close: () => transport.close(),
    }));
    await until(() => expect(signals.map((signal) => signal?.aborted)).toEqual([false]));
    cut = true;
    await until(() => expect(signals.map((signal) => signal?.aborted)).toEqual([true]));
    expect(h.held(VM)).toEqual([]);
  });

  test("the leader goes while ARM works: its successor follows the operation by its name, and sends no second PATCH", async () => {
    await h.simple();
    let end = (): void => {};
    h.arm.whileRunning = () => new Promise<void>((resolve) => (end = resolve));
    const first = h.start();
    h.start();
    await until(async () => expect((await ledger()).running).toMatchObject({ operation: "operation-1" }));
    await h.stop(first);
    await until(() => expect(h.arm.resumed).toEqual(["operation-1"]));
    expect(await h.cluster.statuses()).toEqual({ [SIMPLE]: "Created" });
    end();
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect(h.arm.patches).toHaveLength(1);
    h.arm.whileRunning = undefined;
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(VM)).toEqual([]);
  });
});

describe("dry run", () => {
  test("says what it would take over, attach and detach, and writes nothing", async () => {
    await h.simple();
    await user("old", "test-node");
    const before = h.start();
    await h.becomes({ [SIMPLE]: "Assigned", "old-default-old": "Assigned" });
    await h.stop(before);
    await h.cluster.delete("pod", "old");
    await user("new", "test-node");
    const [patches, text] = [h.arm.patches.length, JSON.stringify(await h.cluster.ledgers())];
    const { log } = h.start({ dryRun: true });
    await until(() =>
      expect(log.join("")).toContain(
        `dry run: would be updating user-assigned identities on test-node, assign [${resourceId("new")}], unassign [`,
      ),
    );
    await until(() => expect(log.join("")).toMatch(/dry run: processing node .*add \[new/));
    expect([h.arm.patches.length, JSON.stringify(await h.cluster.ledgers())]).toEqual([patches, text]);
    expect(await h.cluster.statuses()).toEqual({ [SIMPLE]: "Assigned", "old-default-old": "Assigned" });
  });

  test("runs beside a leader, whose Lease it leaves alone", async () => {
    await h.simple();
    const leader = h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    h.arm.machine(groupOf(VM)).identities.clear();
    const { log } = h.start({ dryRun: true });
    await until(() => expect(log.join("")).toContain("dry run: would be updating user-assigned identities"));
    expect(leader.mic.isActive).toBe(true);
  });

  test("the ledger of a machine that is gone stays", async () => {
    await h.simple();
    const before = h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.stop(before);
    await h.cluster.delete("pod", "test-pod");
    await h.cluster.delete("node", "test-node");
    h.arm.missing.add(groupOf(VM).key);
    const writes = h.cluster.writes();
    const { log, mic } = h.start({ dryRun: true });
    await until(() => expect(log.join("")).toContain("failed to update user-assigned identities"));
    await mic.stop();
    expect(h.cluster.writes()).toBe(writes);
    expect(await h.cluster.ledgers()).toHaveLength(1);
  });
});

test("while another's operation runs on a machine, what is attached there already keeps no pod waiting", async () => {
  await h.cluster.node("test-node", VM);
  for (const name of ["missing", "present"]) await user(name, "test-node");
  h.arm.attach(groupOf(VM), resourceId("present"));
  h.arm.machine(groupOf(VM)).provisioningState = "Updating";
  h.start();
  await h.becomes({ "missing-default-missing": "Created", "present-default-present": "Assigned" });
  expect(h.arm.patches).toEqual([]);
});

test("metrics: scale sets of one name in two resource groups are two", async () => {
  const sets = [vmssProviderId("pool", 0, "rg-one"), vmssProviderId("pool", 0, "rg-two")] as const;
  await h.cluster.node("one", sets[0]);
  await h.cluster.node("two", sets[1]);
  for (const [name, node] of [
    ["a", "one"],
    ["b", "one"],
    ["c", "two"],
  ] as const)
    await user(name, node);
  const { metrics } = h.start();
  await h.becomes({ "a-default-a": "Assigned", "b-default-b": "Assigned", "c-default-c": "Assigned" });
  const text = await metrics.registry.metrics();
  expect(text).toContain(`podid_mic_node_group_identities{node_group="${groupOf(sets[0]).key}"} 2`);
  expect(text).toContain(`podid_mic_node_group_identities{node_group="${groupOf(sets[1]).key}"} 1`);
});

test("metrics: calls by outcome, throttling, circuits, budget, identities per node group", async () => {
  await h.simple();
  h.arm.failNext("read", {
    kind: "throttled",
    scope: "machine",
    status: 429,
    code: "x",
    message: "x",
    retryAfterMs: 300,
  });
  const { metrics } = h.start();
  await until(async () =>
    expect(await metrics.registry.metrics()).toContain('podid_mic_arm_throttled{scope="machine"} 1'),
  );
  await h.becomes({ [SIMPLE]: "Assigned" });
  const text = await metrics.registry.metrics();
  for (const line of [
    'podid_mic_arm_calls_total{operation_type="vm_get",outcome="throttled"} 1',
    'podid_mic_arm_calls_total{operation_type="vm_update",outcome="success"} 1',
    'aadpodidentity_cloud_provider_operations_errors_count{operation_type="vm_get"} 1',
    'aadpodidentity_cloud_provider_operations_duration_seconds_count{operation_type="vm_update"} 1',
    'podid_mic_arm_throttled{scope="machine"} 0',
    'podid_mic_arm_circuits{state="open"} 0',
    'podid_mic_arm_budget_left{bucket="group"}',
    'podid_mic_node_group_identities{node_group="test-node"} 1',
    "podid_mic_arm_request_identities_limit 150",
  ])
    expect(text).toContain(line);
});
