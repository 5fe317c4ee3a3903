import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId } from "../../test/cluster.ts";
import { groupOf, Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

async function another(name: string): Promise<void> {
  await h.cluster.identity(name, { resourceID: resourceId(name) });
  await h.cluster.binding(name, name, name);
  await h.cluster.pod(name, "test-node", name);
}

describe("the API server fails", () => {
  test("watches are cut and history is gone: nothing is missed", async () => {
    await h.simple();
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    const { faults } = h.cluster.emulator;
    const refused = faults.add({ verb: "watch", status: 503 });
    faults.cutWatches({}, "reset");
    await another("late");
    await h.cluster.delete("pod", "test-pod");
    faults.compact();
    refused();
    await h.becomes({ "late-default-late": "Assigned" });
    expect(h.held(vmProviderId("test-node"))).toEqual(["late"]);
  });

  test.for([
    { name: "creating is refused", verb: "create", status: 503 },
    { name: "the status is refused", verb: "patch", status: 409 },
    { name: "the answer to a creation is lost", verb: "create", drop: "after" },
    { name: "the answer to a status is lost", verb: "patch", drop: "after" },
  ] as const)("$name twice: it is tried again", async ({ name: _name, ...rule }) => {
    await h.simple();
    h.cluster.emulator.faults.add({ ...rule, resource: "azureassignedidentities", times: 2 });
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect(h.arm.patches).toHaveLength(1);
  });

  const OBJECT = `AzureAssignedIdentity default/${SIMPLE}`;
  test.for([
    {
      name: "created",
      verb: "create",
      want: `binding apply error: failed to create ${OBJECT} for pod default/test-pod, error:`,
    },
    {
      name: "assigned",
      verb: "patch",
      want: `status update error: failed to update ${OBJECT} status to Assigned for pod default/test-pod, error:`,
    },
    {
      name: "rewritten",
      verb: "patch",
      later: () => h.cluster.merge("identity", "test-id", { spec: { clientID: "another" } }),
      want: `binding apply error: failed to update ${OBJECT} for pod default/test-pod, error:`,
    },
    {
      name: "unassigned",
      verb: "patch",
      later: () => h.cluster.delete("pod", "test-pod"),
      want: `status update error: failed to update ${OBJECT} status to Unassigned for pod default/test-pod, error:`,
    },
    {
      name: "removed",
      verb: "delete",
      later: () => h.cluster.delete("pod", "test-pod"),
      want: "binding remove error: failed to remove AzureIdentityBinding default/testbinding from node test-node for pod default/test-pod, error:",
    },
  ])("an object that cannot be $name is told in an event", async ({ verb, later, want }) => {
    await h.simple();
    const rule = { verb, resource: "azureassignedidentities", status: 500, times: 1 };
    if (later === undefined) h.cluster.emulator.faults.add(rule);
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    if (later !== undefined) h.cluster.emulator.faults.add(rule);
    await later?.();
    await until(async () => expect((await h.cluster.events()).join("\n")).toContain(`Warning ${want}`));
  });

  test("the ledger cannot be written: nothing is attached until it can", async () => {
    await h.simple();
    const heal = h.cluster.emulator.faults.add({ verb: "create", resource: "configmaps", status: 500 });
    const { log } = h.start();
    await until(() => expect(log.join("")).toContain("will try again"));
    expect([await h.cluster.statuses(), h.arm.patches]).toEqual([{ [SIMPLE]: "Created" }, []]);
    heal();
    await h.becomes({ [SIMPLE]: "Assigned" });
  });
});

describe("a ledger is damaged", () => {
  test("the log names it and the fix, a metric counts it, and nothing is detached by guess", async () => {
    await h.simple();
    const first = h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.stop(first);
    const [ledger] = await h.cluster.ledgers();
    const name = ledger?.metadata.name ?? "";
    await h.cluster.merge("configMap", name, { data: { "ledger.json": "{" } }, "podid");
    const { log, metrics } = h.start();
    await until(() =>
      expect(log.join("")).toContain(`ledger podid/${name} cannot be read: what MIC attached to /subs`),
    );
    expect(await metrics.registry.metrics()).toContain("podid_mic_unreadable_ledgers_total 1");
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]);
  });
});

describe("ARM fails", () => {
  test("throttled: Retry-After is obeyed, and nothing reaches ARM before", async () => {
    await h.simple();
    h.arm.failNext("read", {
      kind: "throttled",
      scope: "machine",
      status: 429,
      code: "TooManyRequests",
      message: "slow down",
      retryAfterMs: 400,
    });
    const began = Date.now();
    h.start();
    await until(async () => expect((await h.cluster.events()).join("\n")).toContain("slow down"));
    await another("meanwhile");
    await h.becomes({ [SIMPLE]: "Assigned", "meanwhile-default-meanwhile": "Assigned" });
    expect(Date.now() - began).toBeGreaterThanOrEqual(400);
    expect(h.arm.patches).toHaveLength(1);
  });

  test("somebody else changes the machine at the same time: both changes stay", async () => {
    await h.simple();
    h.arm.beforePatch = (group) => {
      h.arm.beforePatch = undefined;
      h.arm.attach(group, resourceId("theirs"));
    };
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual(["theirs"]);
  });

  test("the machine does not exist: the event says so, and the object goes with its pod", async () => {
    await h.simple();
    h.arm.missing.add(groupOf(vmProviderId("test-node")).key);
    h.start();
    await until(async () => expect((await h.cluster.events()).join("\n")).toContain("ResourceNotFound"));
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
  });

  test("somebody takes an identity away: the next look puts it back", async () => {
    await h.simple();
    const { log } = h.start({ reconcileIntervalMs: 100 });
    await h.becomes({ [SIMPLE]: "Assigned" });
    h.arm.machine(groupOf(vmProviderId("test-node"))).identities.clear();
    await until(() => expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]));
    const said = `reconciling identity assignment for [${resourceId("identity1").toLowerCase()}] on node test-node`;
    expect(log.join("")).toContain(said);
    expect(await h.cluster.statuses()).toEqual({ [SIMPLE]: "Assigned" });
  });

  test("the leader goes while ARM works: its successor finishes, owns what was attached, and releases it", async () => {
    await h.simple();
    let reach = (): void => {};
    const reached = new Promise<void>((resolve) => (reach = resolve));
    h.arm.beforePatch = (group) => {
      h.arm.beforePatch = undefined;
      // ARM has accepted the request; nobody is left to hear of its end.
      reach();
      h.arm.attach(group, resourceId("identity1"));
      return new Promise<void>(() => {});
    };
    const first = h.start();
    await until(() => expect(first.mic.isActive).toBe(true));
    h.start();
    await reached;
    await h.stop(first);
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual([]);
  });
});
