import { startTracing, tracingSettings } from "@podid/service";
import type { Tracing } from "@podid/service";
import { TraceCollector } from "@podid/service/testing";
import type { CollectedSpan } from "@podid/service/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId } from "../test/cluster.ts";
import { Harness, SIMPLE } from "../test/harness.ts";
import { runMic } from "../test/run-mic.ts";
import type { RunningMic } from "../test/run-mic.ts";

let h: Harness;
let collector: TraceCollector;
let tracing: Tracing;
let running: RunningMic | undefined;

beforeEach(async () => {
  h = await Harness.start();
  collector = await TraceCollector.start();
  const { settings } = tracingSettings(collector.url, {});
  tracing = await startTracing(settings, { service: "mic", version: "1", onProblem: () => {} });
});
afterEach(async () => {
  await running?.mic.stop();
  await h.close();
  await collector.close();
});

/** Ends the process' work, and returns what it sent. */
async function spans(): Promise<readonly CollectedSpan[]> {
  await running?.mic.stop();
  await tracing.close();
  return collector.spans;
}

describe("traces", () => {
  test("one assignment across queue, object, ARM and status", async () => {
    await h.simple();
    running = runMic(h.cluster.newTransport(), h.arm, {}, { tracing });
    await h.becomes({ [SIMPLE]: "Assigned" });
    const all = await spans();
    const root = all.find(({ name }) => name === "assignment");
    expect(root).toMatchObject({
      attributes: {
        "k8s.namespace.name": "default",
        "k8s.pod.name": "test-pod",
        "k8s.node.name": "test-node",
        "podid.identity": "default/test-id",
        "podid.binding": "default/testbinding",
      },
      status: { code: 0 },
    });
    const below = (parent: CollectedSpan | undefined): string[] =>
      all.filter(({ parentSpanId }) => parentSpanId === parent?.spanId).map(({ name }) => name);
    expect(below(root)).toEqual(
      expect.arrayContaining(["queue", "create AzureAssignedIdentity", "arm", "status Assigned"]),
    );
    const arm = all.find(({ name, parentSpanId }) => name === "arm" && parentSpanId === root?.spanId);
    expect(below(arm)).toEqual(expect.arrayContaining(["arm vm_get", "arm vm_update"]));
    expect(new Set(all.filter(({ traceId }) => traceId === root?.traceId).map(({ name }) => name)).size).toBe(7);
  });

  test("what ARM does for several is part of the first one's trace, and linked to the others'", async () => {
    await h.simple();
    await h.cluster.identity("second", { resourceID: resourceId("identity2") });
    await h.cluster.binding("second", "second", "test-select");
    running = runMic(h.cluster.newTransport(), h.arm, {}, { tracing });
    await h.becomes({ [SIMPLE]: "Assigned", "test-pod-default-second": "Assigned" });
    const all = await spans();
    const roots = all.filter(({ name }) => name === "assignment");
    expect(roots).toHaveLength(2);
    const pass = all.find(({ name, links }) => name === "arm" && links.length > 0);
    const involved = [pass?.parentSpanId, ...(pass?.links ?? [])];
    expect(new Set(involved)).toEqual(new Set(roots.map(({ spanId }) => spanId)));
  });

  test("an assignment that does not come about is a trace with an error", async () => {
    await h.simple();
    h.cluster.emulator.faults.add({ verb: "patch", resource: "azureassignedidentities", status: 500 });
    running = runMic(h.cluster.newTransport(), h.arm, {}, { tracing });
    await expect.poll(() => h.arm.patches.length).toBe(1);
    await expect.poll(() => running?.log.join("")).toContain("status to Assigned");
    const all = await spans();
    expect(all.find(({ name }) => name === "status Assigned")?.status).toMatchObject({ code: 2 });
    expect(all.find(({ name }) => name === "assignment")?.status).toMatchObject({
      code: 2,
      message: "not assigned before the leader's term ended",
    });
  });
});
