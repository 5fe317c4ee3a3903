import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import type { Condition } from "@podid/crd-types";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cluster, resourceId, vmProviderId } from "../../test/cluster.ts";
import type { ClusterKind } from "../../test/cluster.ts";
import { Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;
const NODE = vmProviderId("test-node");
/** Patience cut short: a test cannot wait for half a minute. */
const statusTiming = { settleMs: 10, intervalMs: 50, sweepMs: 3_600_000 };

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

interface Told {
  readonly conditions?: readonly Condition[];
  readonly matched?: number;
  readonly assigned?: number;
  readonly failed?: number;
}

async function told(kind: ClusterKind, name: string): Promise<Told> {
  return (await h.cluster.find(kind, name))?.["status"] ?? {};
}

/** `Ready status reason matched/assigned/failed`. */
async function ready(kind: ClusterKind, name: string): Promise<string> {
  const { conditions = [], matched, assigned, failed } = await told(kind, name);
  const condition = conditions.find(({ type }) => type === "Ready");
  return `${condition?.status} ${condition?.reason} ${matched}/${assigned}/${failed}`;
}

async function becomes(kind: ClusterKind, name: string, want: string): Promise<void> {
  await until(async () => expect(await ready(kind, name)).toBe(want));
}

describe("conditions and counts", () => {
  test("follow an identity and its binding from nothing to Assigned and back", async () => {
    await h.cluster.node("test-node", NODE);
    await h.cluster.identity("test-id", { resourceID: resourceId("test-id") });
    h.start({ statusTiming });
    await becomes("identity", "test-id", "True NotBound 0/0/0");
    await h.cluster.binding("testbinding", "test-id", "test-select");
    await becomes("binding", "testbinding", "True NoPods 0/0/0");
    await h.cluster.pod("test-pod", "test-node", "test-select");
    await becomes("identity", "test-id", "True Assigned 1/1/0");
    await becomes("binding", "testbinding", "True Assigned 1/1/0");
    const { conditions } = await told("identity", "test-id");
    expect(conditions).toMatchObject([{ type: "Ready", observedGeneration: 1, message: "assigned for 1 pods" }]);
    await h.cluster.delete("pod", "test-pod");
    await becomes("identity", "test-id", "True NoPods 0/0/0");
  });

  test("are written once and then left alone; a change of the spec is observed", async () => {
    await h.simple();
    await h.cluster.merge("identity", "test-id", { spec: { clientID: "client-identity1" } });
    h.start({ statusTiming });
    await becomes("identity", "test-id", "True Assigned 1/1/0");
    await becomes("binding", "testbinding", "True Assigned 1/1/0");
    const before = (await h.cluster.find("identity", "test-id"))?.metadata.resourceVersion;
    await h.cluster.merge("pod", "test-pod", { metadata: { annotations: { some: "thing" } } });
    await h.cluster.binding("another", "test-id", "nobody");
    await becomes("binding", "another", "True NoPods 0/0/0");
    expect((await h.cluster.find("identity", "test-id"))?.metadata.resourceVersion).toBe(before);
    await h.cluster.merge("identity", "test-id", { spec: { tenantID: "t" } });
    await until(async () =>
      expect((await told("identity", "test-id")).conditions).toMatchObject([{ observedGeneration: 3, status: "True" }]),
    );
  });

  test("at most one write per object within the interval", async () => {
    await h.cluster.node("test-node", NODE);
    await h.cluster.identity("test-id", { resourceID: resourceId("test-id") });
    await h.cluster.binding("testbinding", "test-id", "test-select");
    const { metrics } = h.start({ statusTiming: { ...statusTiming, intervalMs: 3_600_000 } });
    await becomes("identity", "test-id", "True NoPods 0/0/0");
    await h.cluster.pod("test-pod", "test-node", "test-select");
    await h.becomes({ "test-pod-default-test-id": "Assigned" });
    await h.cluster.identity("later", { resourceID: resourceId("later") });
    await becomes("identity", "later", "True NotBound 0/0/0");
    expect(await ready("identity", "test-id")).toBe("True NoPods 0/0/0");
    expect(await metrics.registry.metrics()).toContain("podid_mic_pod_assignment_duration_seconds");
  });

  test("name what ARM refuses, with its code, and who else gets its identity", async () => {
    await h.simple();
    await h.cluster.merge("identity", "test-id", { spec: { clientID: "client-identity1" } });
    await h.cluster.identity("missing", { resourceID: resourceId("missing") });
    await h.cluster.binding("missing", "missing", "missing");
    await h.cluster.pod("unlucky", "test-node", "missing");
    h.arm.known = new Set([resourceId("identity1").toLowerCase()]);
    h.start({ statusTiming });
    await becomes("identity", "missing", "False RefusedByAzure 1/0/1");
    await becomes("binding", "missing", "False RefusedByAzure 1/0/1");
    await becomes("identity", "test-id", "True Assigned 1/1/0");
    const { conditions } = await told("identity", "missing");
    expect(conditions?.[0]?.message).toMatch(/^FailedIdentityOperation: .*missing/);
  });

  test("name a client id that is not the identity's", async () => {
    await h.simple();
    h.start({ statusTiming });
    await becomes("identity", "test-id", "False ClientIDMismatch 1/1/0");
    await becomes("binding", "testbinding", "False ClientIDMismatch 1/1/0");
    expect((await told("identity", "test-id")).conditions?.[0]?.message).toContain('"test-user-msi-clientid"');
    await until(async () => expect((await h.cluster.events()).join("\n")).toContain("Warning ClientIDMismatch: "));
  });

  test("a federated identity says what to enter in Entra, and warns of the ServiceAccount default", async () => {
    await h.cluster.node("test-node", NODE);
    await h.cluster.identity("fed", { type: 3, clientID: "app", tenantID: "tenant" });
    await h.cluster.binding("fed", "fed", "fed");
    await h.cluster.pod("pod", "test-node", "fed");
    h.start({ statusTiming });
    await becomes("identity", "fed", "True Assigned 1/1/0");
    await until(async () => {
      const { conditions } = await told("identity", "fed");
      expect(conditions?.[1]).toMatchObject({ type: "FederatedCredential", reason: "DefaultServiceAccount" });
      expect(conditions?.[1]?.message).toContain("subjects system:serviceaccount:default:default");
    });
    expect(h.arm.patches).toEqual([]);
  });

  test("conditions of others stay, and a dry run writes none", async () => {
    await h.simple();
    const others = {
      type: "Reviewed",
      status: "True",
      reason: "ByHand",
      message: "",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    };
    await h.cluster.patchStatus("identity", "test-id", { conditions: [others] });
    const dry = h.start({ statusTiming, dryRun: true });
    await until(() => expect(dry.log.join("\n")).toContain("dry run: would be updating"));
    expect((await told("identity", "test-id")).conditions).toEqual([others]);
    await h.stop(dry);
    h.start({ statusTiming });
    await until(async () =>
      expect((await told("identity", "test-id")).conditions?.map(({ type }) => type)).toEqual(["Reviewed", "Ready"]),
    );
  });
});

describe("CRDs of aad-pod-identity", () => {
  test("have no status: none is written, nothing is said of it, all else works", async () => {
    await h.close();
    const without = CUSTOM_RESOURCE_DEFINITIONS.map((crd) => ({
      ...crd,
      spec: { ...crd.spec, versions: crd.spec.versions.map((version) => ({ ...version, subresources: {} })) },
    }));
    h = new Harness(await Cluster.start(without));
    await h.simple();
    const { log } = h.start({ statusTiming: { ...statusTiming, sweepMs: 50 } });
    await h.becomes({ [SIMPLE]: "Assigned" });
    await until(async () => expect((await h.cluster.events()).join("\n")).toContain("ClientIDMismatch"));
    expect((await h.cluster.find("identity", "test-id"))?.["status"]).toBeUndefined();
    expect((await h.cluster.find("identity", "test-id"))?.metadata.generation).toBe(1);
    expect(log.filter((line) => /status not written|may not write/.test(line))).toEqual([]);
  });
});
