import { expect, test } from "vitest";
import { MeteredArm } from "./metered-arm.ts";
import { MicMetrics } from "./metrics.ts";
import { MemoryArm } from "@podid/azure-assigner/testing";
import { groupOf } from "../test/harness.ts";
import { vmProviderId, vmssProviderId } from "../test/cluster.ts";

const A = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 3, 4, 5, 10];
const B = [0.5, 1, 5, 10, 30, 60, 120, 300, 600, 900, 1200];

/** What a scrape says of one family: its type, and its samples by name and labels. */
async function scrape(
  metrics: MicMetrics,
): Promise<{ types: Record<string, string>; samples: Record<string, number> }> {
  const lines = (await metrics.registry.metrics()).split("\n");
  const types = lines
    .map((line) => /^# TYPE (\S+) (\S+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, name = "", type = ""]) => [name, type] as const);
  const samples = lines
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))] as const);
  return { types: Object.fromEntries(types), samples: Object.fromEntries(samples) };
}

function bucketsOf(samples: Record<string, number>, name: string): number[] {
  const buckets = Object.keys(samples)
    .map((sample) => new RegExp(`^${name}_bucket\\{(?:.*,)?le="([^"]+)"`).exec(sample)?.[1])
    .filter((bound) => bound !== undefined && bound !== "+Inf");
  return [...new Set(buckets.map(Number))].sort((one, other) => one - other);
}

test("S78 Metrics: aad-pod-identity's names, types, labels and buckets", async () => {
  let now = 0;
  const metrics = new MicMetrics(() => now);
  const takes = (ms: number) => () => {
    now += ms;
    return Promise.resolve();
  };
  const fails = (): Promise<void> => Promise.reject(new Error("no"));
  for (const kind of ["create", "update", "delete"] as const) {
    await metrics.time(kind, takes(2000));
    await metrics.time(kind, takes(4000));
    await metrics.time(kind, fails).catch(() => {});
  }
  await metrics.time("status", takes(1)).catch(() => {});
  await metrics.time("status", fails).catch(() => {});
  for (const operation of ["vmss_get", "vmss_update", "vm_get", "vm_update"] as const) {
    await metrics.timeCloud(operation, takes(2000));
    await metrics.timeCloud(operation, fails).catch(() => {});
  }
  metrics.cycleDone(700);
  metrics.elected();

  const { types, samples } = await scrape(metrics);
  for (const [name, label] of [
    ["assigned_identity_addition", "assigned_identity_addition"],
    ["assigned_identity_update", "assigned_identity_update"],
    ["assigned_identity_deletion", "assigned_identity_deletion"],
  ]) {
    const family = `aadpodidentity_${name}_duration_seconds`;
    expect([types[family], types[`aadpodidentity_${name}_count`]]).toEqual(["histogram", "counter"]);
    expect([samples[`${family}_count`], samples[`${family}_sum`], samples[`aadpodidentity_${name}_count`]]).toEqual([
      2, 6, 2,
    ]);
    expect(bucketsOf(samples, family)).toEqual(A);
    expect(samples[`aadpodidentity_kubernetes_api_operations_errors_count{operation_type="${label}"}`]).toBe(1);
  }
  expect(
    samples[
      'aadpodidentity_kubernetes_api_operations_errors_count{operation_type="update_azure_assigned_identity_status"}'
    ],
  ).toBe(1);
  for (const operation of ["vmss_get", "vmss_update", "vm_get", "vm_update"]) {
    const family = "aadpodidentity_cloud_provider_operations_duration_seconds";
    expect(samples[`${family}_sum{operation_type="${operation}"}`]).toBe(2);
    expect(samples[`aadpodidentity_cloud_provider_operations_errors_count{operation_type="${operation}"}`]).toBe(1);
  }
  expect(bucketsOf(samples, "aadpodidentity_cloud_provider_operations_duration_seconds")).toEqual(B);
  expect(bucketsOf(samples, "aadpodidentity_mic_cycle_duration_seconds")).toEqual(B);
  expect(types).toMatchObject({
    aadpodidentity_cloud_provider_operations_errors_count: "counter",
    aadpodidentity_kubernetes_api_operations_errors_count: "counter",
    aadpodidentity_mic_cycle_count: "counter",
    aadpodidentity_mic_new_leader_election_count: "counter",
  });
  expect([samples["aadpodidentity_mic_cycle_count"], samples["aadpodidentity_mic_new_leader_election_count"]]).toEqual([
    1, 1,
  ]);
});

test("ARM's calls are counted by operation and outcome", async () => {
  const metrics = new MicMetrics();
  const memory = new MemoryArm();
  const arm = new MeteredArm(memory, metrics);
  const vm = groupOf(vmProviderId("vm"));
  await arm.read(vm);
  await arm.read(groupOf(vmssProviderId("vmss", 0)));
  await arm.list(vm);
  memory.read = () => Promise.reject(new Error("cut off"));
  await arm.read(vm).catch(() => {});
  const { samples } = await scrape(metrics);
  expect(
    Object.fromEntries(Object.entries(samples).filter(([name]) => name.startsWith("podid_mic_arm_calls_total"))),
  ).toEqual({
    'podid_mic_arm_calls_total{operation_type="vm_get",outcome="success"}': 1,
    'podid_mic_arm_calls_total{operation_type="vmss_get",outcome="success"}': 1,
    'podid_mic_arm_calls_total{operation_type="vm_list",outcome="success"}': 1,
    'podid_mic_arm_calls_total{operation_type="vm_get",outcome="aborted"}': 1,
  });
});

test("the time from scheduling to Assigned, and gauges whose labels come and go", async () => {
  const metrics = new MicMetrics();
  metrics.podAssigned(6000);
  metrics.podAssigned(-1);
  let depth: Record<string, number> = { arm: 3 };
  metrics.gauge("queue_depth", "Keys.", () => depth, "queue");
  metrics.gauge("leader", "Leads.", () => 1);
  const first = (await scrape(metrics)).samples;
  expect(first).toMatchObject({
    podid_mic_pod_assignment_duration_seconds_count: 2,
    podid_mic_pod_assignment_duration_seconds_sum: 6,
    'podid_mic_queue_depth{queue="arm"}': 3,
    podid_mic_leader: 1,
  });
  depth = { assigned_identities: 1 };
  const second = (await scrape(metrics)).samples;
  expect(second['podid_mic_queue_depth{queue="arm"}']).toBeUndefined();
  expect(second['podid_mic_queue_depth{queue="assigned_identities"}']).toBe(1);
});

test("S79 MIC stats: what happens in turn adds up, what happens at once is measured from the first start to the last end", async () => {
  let now = 0;
  const metrics = new MicMetrics(() => now);
  const ends: (() => void)[] = [];
  const span = (): Promise<void> => metrics.time("create", () => new Promise((resolve) => ends.push(resolve)));
  for (let turn = 0; turn < 2; turn += 1) {
    const one = span();
    now += 40_000;
    ends.pop()?.();
    await one;
  }
  const { samples: inTurn } = await scrape(metrics);
  expect(inTurn["aadpodidentity_assigned_identity_addition_duration_seconds_sum"]).toBe(80);
  expect(inTurn["aadpodidentity_assigned_identity_addition_count"]).toBe(2);

  // A cycle holds all that is done for a group at once.
  const [first, second] = [span(), span()];
  now += 20_000;
  for (const end of ends.splice(0)) end();
  await Promise.all([first, second]);
  metrics.cycleDone(20_000);
  const { samples } = await scrape(metrics);
  expect(samples["aadpodidentity_assigned_identity_addition_count"]).toBe(4);
  expect(samples["aadpodidentity_mic_cycle_duration_seconds_sum"]).toBe(20);
});
